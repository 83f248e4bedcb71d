"""Pure functions on a trained model and a screen: effects, masks, latents, combinations."""
