"""From a camera's packets to a published event, one module a stage."""
