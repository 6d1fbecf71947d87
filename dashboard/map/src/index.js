// Panel looks a component up by the name of its Python class.
import { render } from "./map.js";

export default { NdviMap: { render } };
