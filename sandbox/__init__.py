"""AWS on this machine: a moto server, a stand-in for the ``aws`` provider, and faults to heal."""
