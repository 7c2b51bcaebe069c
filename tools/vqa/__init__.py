"""Questions about pictures with known answers: VQAv2, MME and AI2D, by their official rules."""
