"""How fast a look is, measured side by side with what else there is. Never imported by the product."""
