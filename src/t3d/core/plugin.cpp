#include "t3d/core/plugin.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <mutex>
#include <sstream>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;

/// What T3D_OWN_TYPES leaves in a file: "t3d-own-types: api 1 libtorch 1.13.0;".
constexpr const char* kMark = "t3d-own-types: ";
constexpr const char* kEntryPoint = "t3d_register_own_types";

struct BuiltFor {
  int api = 0;
  std::string libtorch;
};

std::mutex g_mutex;
std::vector<std::string>& loaded() {
  static std::vector<std::string> all;
  return all;
}

/// What the file was built for. Runs nothing of it.
BuiltFor built_for(const std::string& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored))
    throw SystemError(cat(file, ": no such file; expected a shared object with types of your own."));
  const std::string bytes = read_whole_file(file);
  if (bytes.compare(0, 4,
                    "\x7f"
                    "ELF") != 0)
    throw UserError(cat(file,
                        ": is no shared object; expected one that was built from your types. See "
                        "docs/own_modules.md."));
  const size_t at = bytes.find(kMark);
  BuiltFor found;
  if (at != std::string::npos) {
    const size_t end = bytes.find(';', at);
    std::string word;
    std::istringstream words(bytes.substr(at + std::string(kMark).size(), std::min<size_t>(end - at, 200)));
    words >> word >> found.api >> word >> found.libtorch;
    found.libtorch = found.libtorch.substr(0, found.libtorch.find(';'));
  }
  if (found.api == 0 || found.libtorch.empty())
    throw UserError(
        cat(file,
            ": is a shared object that registers no types for t3d; expected T3D_OWN_TYPES in it. See "
            "docs/own_modules.md."));
  return found;
}

std::string* g_opening = nullptr;

/// What the constructors of its static objects threw, in the handler of it.
std::string thrown_at_start() {
  std::string what = "something that is no std::exception";
  try {
    if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
  }
  return cat(*g_opening, ": threw while it was loading (", what,
             "), in an object that is made at its start. Make it in T3D_OWN_TYPES instead.");
}

/// Where the C library lets no exception through dlopen, the process ends, but with a sentence.
[[noreturn]] void on_throw_at_start() {
  log::error(thrown_at_start());
  std::_Exit(2);
}

void* open(std::string file) {
  g_opening = &file;
  const auto before = std::set_terminate(on_throw_at_start);
  void* handle = nullptr;
  std::string thrown;
  try {
    // dlopen is declared to throw nothing; through a plain pointer the compiler believes the handler.
    void* (*const volatile load)(const char*, int) = dlopen;
    handle = load(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  } catch (...) {
    thrown = thrown_at_start();
  }
  std::set_terminate(before);
  if (!thrown.empty()) throw UserError(thrown);
  if (handle != nullptr) return handle;
  std::string why = dlerror();
  if (why.rfind(file + ": ", 0) == 0) why = why.substr(file.size() + 2);
  throw UserError(cat(file, ": cannot be loaded (", why, "). Build it again with this t3d."));
}

void register_types(const std::string& file) {
  using Register = void (*)(TypeRegistrar&);
  const auto run = reinterpret_cast<Register>(dlsym(open(file), kEntryPoint));
  if (run == nullptr) throw UserError(cat(file, ": has no ", kEntryPoint, ". Build it again with this t3d."));
  TypeRegistrar registrar(file);
  // Its message is copied while its code is there; the file stays loaded, since there may be objects of its
  // types.
  std::string failure;
  try {
    run(registrar);
  } catch (const Error&) {
    throw;  // of the tables
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "something that is no std::exception";
  }
  if (!failure.empty())
    throw UserError(cat(file, ": threw while it was loading (", failure, "). Mend its T3D_OWN_TYPES."));
  if (registrar.size() == 0)
    throw UserError(cat(file, ": registers no types. Add one in its T3D_OWN_TYPES."));
  registrar.keep();
}

}  // namespace

TypeRegistrar::~TypeRegistrar() {
  std::for_each(undo_.rbegin(), undo_.rend(), [](const auto& undo) { undo(); });
}

void TypeRegistrar::check_name(const std::string& family, const std::string& name,
                               const std::string* taken_by) const {
  constexpr const char* kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  if (name.empty() || name.find_first_not_of(kLetters) != std::string::npos)
    throw UserError(cat(file_, ": registers a ", family, " named \"", name,
                        "\"; expected letters, digits, - and _. Give it another name."));
  if (taken_by != nullptr)
    throw UserError(cat(file_, ": registers the ", family, " ", name, ", which is there already",
                        taken_by->empty() ? "" : cat(" from ", *taken_by), ". Give it another name."));
}

void load_plugin(const std::string& file, const std::string& libtorch) {
  std::error_code ignored;
  const std::string path = fs::weakly_canonical(fs::absolute(file, ignored), ignored).string();
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (std::find(loaded().begin(), loaded().end(), path) != loaded().end()) return;
  const BuiltFor wanted = built_for(path);
  if (wanted.api != T3D_API_VERSION)
    throw UserError(cat(path, ": was built for version ", wanted.api,
                        " of t3d's C++ interface, and this t3d has version ", T3D_API_VERSION,
                        ". Build it again with this t3d."));
  if (wanted.libtorch != libtorch)
    throw UserError(cat(path, ": was built with LibTorch ", wanted.libtorch, ", and this t3d with ", libtorch,
                        ". Build it again with that LibTorch."));
  register_types(path);
  loaded().push_back(path);
}

std::vector<std::string> loaded_plugins() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  return loaded();
}

}  // namespace t3d
