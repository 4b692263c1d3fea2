"""What both halves agree on: who a tenant is, what its tier and regimes mean, and how its resources are tagged."""
