"""What tenants are charged: plans, the grants beside them, and the periods that they are charged for."""
