// Panel finds a component by the name of its Python class.
import { render } from "./map.js";

export default { NdviMap: { render } };
