#pragma once

#include "t3d/data/dataset.h"

namespace t3d::data {

/// Finds the images and masks that the frames of all splits name, and fills in Frame::file and
/// Frame::mask_file. A name leads to a file as docs/datasets.md says: as it is written, with an ending, by
/// io::PathResolver, and, when none of the set's images was found so, by its last name in another folder of
/// the data set (images_2, input, rgb,
/// ...). What was not as written goes to the set's notes. Images that are not there keep an empty file.
/// Throws UserError for a mask that is not there and for two frames of one split that lead to one file.
void find_images(Dataset& set);

}  // namespace t3d::data
