"""What `greenup bench` measures: the engine beside its alternatives, a worker's memory, and a plan of two decades.

All make their input, in a temporary folder and with a temporary index, and leave nothing behind. Figures of two
machines or two runs mean little beside each other; ratios within one run do.

::

    InputSpec ─write_input─► scenes ─open_bench─► Bench ─measure each Contender on two workers─► figures
                                                        └measure more and more dates into a store─► figures
    write_documents ─► index ─a process of its own: search, plan, build the graph─► figures

Nothing is imported here, so that the processes that a benchmark starts load what they need and no more.
"""
