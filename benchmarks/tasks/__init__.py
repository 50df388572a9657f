"""What worker processes do. Only they import these modules: torch in the parent would cost memory and time."""
