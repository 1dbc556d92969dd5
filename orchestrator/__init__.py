"""What happens in control: plan, dispatch, gather, synthesize, and every surface."""
