"""The Pulumi program of a cell and its typed configuration."""
