#pragma once

#include <string>

#include "t3d/data/dataset.h"
#include "t3d/io/image.h"

/// Masks of views, 1 channel: 255 where a pixel counts, 0 where it does not (View::mask).
namespace t3d::data {

/// Reads a mask image for an image of width x height pixels; a mask of another size of the same aspect is
/// enlarged or reduced. Half of the brightest value divides black from white (a JPEG's noise from its marks,
/// 0 from 1). black_hides: black pixels do not count, as nerfstudio has it; otherwise white ones do not, as
/// in instant-ngp's dynamic_mask_*.png. Throws UserError for another aspect.
io::Image8 read_mask(const std::string& file, int width, int height, bool black_hides);

/// Pixels farther than `radius` from the image's middle no longer count.
void hide_outside(io::Image8& mask, double radius);

/// Pixels that a fisheye lens's circle does not reach no longer count (Lens::largest_angle).
void hide_beyond_lens(io::Image8& mask, const Lens& lens);

/// A pixel of the result counts when all that it is made of does; when none would, most of it is enough.
io::Image8 reduce_mask(const io::Image8& mask, int width, int height);

/// True when the mask is 0 where the image is transparent and nowhere else; edges may differ.
bool is_silhouette(const io::Image8& mask, const io::Image8& rgba);

/// The part of the image's border that is transparent, 0 to 1.
double transparent_border(const io::Image8& rgba);

/// Pixels that count.
size_t count_pixels(const io::Image8& mask);

}  // namespace t3d::data
