// Latents as files: NumPy's .npy, float32.
#pragma once

#include <string>

#include "array.hpp"
#include "manifest.hpp"

namespace dcae::core {

// Check before the work that a latent can be written: the suffix, the folder, and that the name is free.
void check_latent_target(const std::string& path, bool force);
void write_latent(const std::string& path, const Floats& latent, bool force);

// Read a latent, its type and shape held to the decoder's before memory is taken.
Floats read_latent(const std::string& path, const Graph& decoder);
// Read the noise with which a sampler begins, (N, channels, height, width), bounded before memory is taken.
Floats read_noise(const std::string& path);

}  // namespace dcae::core
