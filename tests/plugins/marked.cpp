// A shared object with the mark of T3D_OWN_TYPES, MARK, and nothing behind it: for the tests of --load.
#ifdef NEEDS_A_FUNCTION  // and is of the versions that are wanted
#include <torch/version.h>
#define T3D_MARK_OF_THIS_T3D "t3d-own-types: api " API " libtorch " TORCH_VERSION
#endif

__attribute__((used)) static const char mark[] = MARK ";";

#ifdef NEEDS_A_FUNCTION
extern "C" void function_of_an_earlier_t3d();
extern "C" void* const the_function = reinterpret_cast<void*>(&function_of_an_earlier_t3d);
#endif
