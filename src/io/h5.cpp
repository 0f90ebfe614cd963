// SPDX-License-Identifier: Apache-2.0
#include "io/h5.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "io/h5_calls.hpp"
#include "io/library_version.hpp"

namespace constrictor::io {
namespace {

static_assert(std::is_same_v<hid_t, H5IdApi::Raw>, "H5IdApi::Raw must be hid_t");

/// Of the calls on the error stack the innermost, which comes last, knows best what happened; but
/// the operating system's own words ("No space left on device") beat all of HDF5's.
herr_t keep_best(unsigned, const H5E_error2_t* error, void* best) {
  const std::string_view words = error->desc != nullptr ? error->desc : "";
  constexpr std::string_view mark = "error message = '";
  auto& text = *static_cast<std::string*>(best);
  if (const auto at = words.find(mark); at != std::string_view::npos) {
    const std::string_view rest = words.substr(at + mark.size());
    text = rest.substr(0, rest.find('\''));
    return 1;  // stop here
  }
  text = words;
  return 0;
}

H5Id file_access() {
  H5Id access(CONSTRICTOR_HDF5("", H5Pcreate(H5P_FILE_ACCESS)));
  CONSTRICTOR_HDF5("", H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V110));
  CONSTRICTOR_HDF5("", H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG));
  return access;
}

H5Id no_time_stamps(hid_t kind) {
  H5Id properties(CONSTRICTOR_HDF5("", H5Pcreate(kind)));
  CONSTRICTOR_HDF5("", H5Pset_obj_track_times(properties.get(), false));
  return properties;
}

}  // namespace

void prepare_hdf5() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
    H5dont_atexit();
    CONSTRICTOR_HDF5("", H5open());
  });
  // HDF5 built for threads keeps an error stack a thread, and each would print by itself.
  static thread_local bool quiet = false;
  if (quiet) return;
  CONSTRICTOR_HDF5("", H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr));
  quiet = true;
}

void raise_hdf5(const std::string& path, const char* call) {
  std::string words;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_best, &words);
  H5Eclear2(H5E_DEFAULT);
  const std::string function = std::string(call).substr(0, std::string(call).find('('));
  throw LibraryError(path + ": HDF5: " + function + ": " + words);
}

void H5IdApi::destroy(Raw id) noexcept {
  // Ids are never given out twice, so one that was closed otherwise is recognised. A failure can
  // only be swallowed here; `H5File::close` reports it.
  if (H5Iis_valid(id) > 0 && H5Idec_ref(id) < 0) H5Eclear2(H5E_DEFAULT);
}

bool H5Group::has(const std::string& name) const {
  return CONSTRICTOR_HDF5(path_, H5Lexists(id_.get(), name.c_str(), H5P_DEFAULT)) > 0;
}

std::vector<std::string> H5Group::attribute_names() const {
  std::vector<std::string> found;
  const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* list) -> herr_t {
    static_cast<std::vector<std::string>*>(list)->emplace_back(name);
    return 0;
  };
  CONSTRICTOR_HDF5(path_,
                   H5Aiterate2(id_.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect, &found));
  std::sort(found.begin(), found.end());
  return found;
}

bool H5Group::has_attribute(const std::string& name) const {
  return CONSTRICTOR_HDF5(path_, H5Aexists(id_.get(), name.c_str())) > 0;
}

std::vector<std::string> H5Group::names() const {
  std::vector<std::string> found;
  const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
    static_cast<std::vector<std::string>*>(list)->emplace_back(name);
    return 0;
  };
  CONSTRICTOR_HDF5(path_,
                   H5Literate(id_.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect, &found));
  std::sort(found.begin(), found.end());
  return found;
}

H5Group H5Group::group(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  return {H5Id(CONSTRICTOR_HDF5(path, H5Gopen2(id_.get(), name.c_str(), H5P_DEFAULT))), path};
}

H5Group H5Group::create_group(const std::string& name) {
  const std::string path = path_ + "/" + name;
  const H5Id properties = no_time_stamps(H5P_GROUP_CREATE);
  return {H5Id(CONSTRICTOR_HDF5(path, H5Gcreate2(id_.get(), name.c_str(), H5P_DEFAULT,
                                                 properties.get(), H5P_DEFAULT))),
          path};
}

void H5Group::link_external(const std::string& name, const std::string& file,
                            const std::string& object) {
  CONSTRICTOR_HDF5(path_ + "/" + name, H5Lcreate_external(file.c_str(), object.c_str(), id_.get(),
                                                          name.c_str(), H5P_DEFAULT, H5P_DEFAULT));
}

H5File H5File::create(const std::filesystem::path& path) {
  prepare_hdf5();
  const H5Id access = file_access();
  const H5Id properties = no_time_stamps(H5P_FILE_CREATE);
  return {H5Id(CONSTRICTOR_HDF5(path.string(), H5Fcreate(path.c_str(), H5F_ACC_TRUNC,
                                                         properties.get(), access.get()))),
          path.string()};
}

H5File H5File::open(const std::filesystem::path& path) {
  prepare_hdf5();
  const H5Id access = file_access();
  return {
      H5Id(CONSTRICTOR_HDF5(path.string(), H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()))),
      path.string()};
}

bool H5File::is_hdf5(const std::filesystem::path& path) {
  prepare_hdf5();
  const htri_t answer = H5Fis_hdf5(path.c_str());
  if (answer < 0) H5Eclear2(H5E_DEFAULT);
  return answer > 0;
}

void H5File::close() {
  CONSTRICTOR_HDF5(path_, H5Fflush(id_.get(), H5F_SCOPE_GLOBAL));
  CONSTRICTOR_HDF5(path_, H5Fclose(id_.get()));  // the handle then finds nothing to do
}

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

}  // namespace constrictor::io
