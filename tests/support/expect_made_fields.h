#pragma once

#include <gtest/gtest.h>

#include "t3d/render/renderer.h"

namespace t3d::testing {

/// Renderer::makes is what a rendering in training has.
inline void expect_made_fields(render::Renderer& renderer, const render::RenderRequest& request) {
  Rng rng(1);
  render::RenderOutput out = renderer(request, /*is_training=*/true, rng);
  for (const render::OutputField& field : render::output_fields())
    EXPECT_EQ(renderer.makes(field.name), field.in(out).defined()) << field.name;
}

}  // namespace t3d::testing
