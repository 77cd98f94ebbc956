#pragma once

#include "t3d/guidance/guidance_eval.h"
#include "t3d/guidance/prompt_embeddings.h"
#include "t3d/io/image.h"

namespace t3d::system {

/// threestudio's picture it{step}-train.png: rendered, x_t, behind one step, x_0 of that step, at the end of
/// the sampler's walk; one row for each row of the batch. In the corner of a row stand the share of the
/// timesteps that is noise (n) and the text's direction, then elevation (e), azimuth (a) and distance (c) of
/// the camera.
io::Image8 guidance_grid(const guidance::GuidancePictures& pictures, const guidance::ViewAngles& views,
                         const guidance::PromptEmbeddings& prompt);

}  // namespace t3d::system
