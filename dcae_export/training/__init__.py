"""Train autoencoders on pictures, and diffusion transformers on the latents of pictures."""
