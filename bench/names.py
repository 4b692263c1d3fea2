"""What the world that is looked at is called, apart from what makes it, so that no measured program loads its maker."""

REGION = "eu-central-1"
ACCOUNT = "123456789012"
CELL = "bench"


def name_of(tenant: int) -> str:
    return f"t{tenant:04d}"
