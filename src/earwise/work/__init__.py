"""How work is done, whatever it is: runs and their stages, stores, locks, processes, threads, progress."""
