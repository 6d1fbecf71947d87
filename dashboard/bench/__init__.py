"""What `greenup bench tiles` and `scale` measure: a finished result explored over HTTP, and what that costs the server.

::

    Synthetic ─a server process of its own: two workers, the real routes─► Served ─walks and views─► figures
                                                                                └the same views: hvPlot, .sel─► ratios

Nothing is imported here, so that the server process loads what a server needs and no more.
"""
