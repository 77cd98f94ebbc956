#include "t3d/io/video.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/io/gif_palette.h"

#ifdef T3D_HAS_FFMPEG
#include "t3d/io/ffmpeg.h"

namespace t3d::io {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& doing, int code) {
  char reason[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, reason, sizeof reason);
  throw SystemError(cat(path, ": ", doing, " failed: ", reason, "."));
}

}  // namespace

class VideoWriter::Impl {
 public:
  Impl(const std::string& path, const VideoOptions& options) : path_(path), options_(options) {
    const std::filesystem::path target(path);
    is_gif_ = target.extension() == ".gif";
    if (!is_gif_ && target.extension() != ".mp4")
      throw UserError(cat(path, ": video is written as .mp4 or .gif."));
    T3D_CHECK(options.fps > 0 && options.fps <= 1000 && options.size_multiple >= 1, "fps ", options.fps,
              ", size_multiple ", options.size_multiple);
    if (target.has_parent_path()) make_folders(target.parent_path().string());
    temporary_ = cat(path, ".", ::getpid(), ".part");
    av_log_set_level(AV_LOG_FATAL);
  }
  ~Impl() {
    close_output();
    if (!is_done_) ::unlink(temporary_.c_str());
  }

  void add(const Image8& frame) {
    T3D_CHECK(!is_done_, "add after finish");
    T3D_CHECK(frame.channels >= 3 && frame.width > 0 && frame.height > 0, "frame of ", frame.channels,
              " channels");
    if (n_frames_ > 0 && (frame.width != width_ || frame.height != height_))
      throw UserError(cat(path_, ": frame ", n_frames_, " is ", frame.width, "x", frame.height,
                          " pixels and those before it are ", width_, "x", height_, "."));
    width_ = frame.width;
    height_ = frame.height;
    if (is_gif_) {
      gif_frames_.push_back(frame);
    } else {
      if (n_frames_ == 0) open_mp4();
      encode_rgb(frame);
    }
    ++n_frames_;
  }

  void finish() {
    if (n_frames_ == 0) throw UserError(cat(path_, ": a video without frames was asked for."));
    if (is_gif_) write_gif();
    send(nullptr);
    if (const int code = av_write_trailer(output_.get()); code < 0) fail(path_, "writing", code);
    close_output();
    const VideoInfo info = read_video_info(temporary_);
    if (info.n_frames != n_frames_)
      throw SystemError(
          cat(path_, ": the video holds ", info.n_frames, " frames where ", n_frames_, " were written."));
    const int fd = ::open(temporary_.c_str(), O_RDONLY);
    if (fd < 0 || ::fsync(fd) != 0) {
      const std::string reason = errno_text();
      if (fd >= 0) ::close(fd);
      throw SystemError(cat(path_, ": cannot be flushed to the disk", reason, "."));
    }
    ::close(fd);
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0)
      throw SystemError(cat(path_, ": cannot be put in place", errno_text(), "."));
    is_done_ = true;
  }

 private:
  int padded(int side) const {
    const int multiple = std::max(2, options_.size_multiple + options_.size_multiple % 2);
    return (side + multiple - 1) / multiple * multiple;
  }

  void open_output(const char* format, const AVCodec* codec) {
    AVFormatContext* output = nullptr;
    if (const int code = avformat_alloc_output_context2(&output, nullptr, format, temporary_.c_str());
        code < 0)
      fail(path_, "opening", code);
    output_.reset(output);
    encoder_.reset(avcodec_alloc_context3(codec));
    frame_.reset(av_frame_alloc());
    packet_.reset(av_packet_alloc());
    if (!encoder_ || !frame_ || !packet_) throw SystemError("out of memory while a video was opened.");
  }

  /// After the encoder's settings are made.
  void start(const AVCodec* codec, AVDictionary** settings) {
    if ((output_->oformat->flags & AVFMT_GLOBALHEADER) != 0) encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    const int opened = avcodec_open2(encoder_.get(), codec, settings);
    av_dict_free(settings);
    if (opened < 0) fail(path_, "starting the encoder", opened);
    stream_ = avformat_new_stream(output_.get(), nullptr);
    if (stream_ == nullptr) throw SystemError("out of memory while a video was opened.");
    stream_->time_base = encoder_->time_base;
    stream_->avg_frame_rate = encoder_->framerate;
    int code = avcodec_parameters_from_context(stream_->codecpar, encoder_.get());
    if (code >= 0) code = avio_open(&output_->pb, temporary_.c_str(), AVIO_FLAG_WRITE);
    if (code >= 0) code = avformat_write_header(output_.get(), nullptr);
    if (code < 0) fail(path_, "writing", code);
    frame_->format = encoder_->pix_fmt;
    frame_->width = encoder_->width;
    frame_->height = encoder_->height;
    if ((code = av_frame_get_buffer(frame_.get(), 0)) < 0) fail(path_, "reserving a frame", code);
  }

  void open_mp4() {
    const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
    if (codec == nullptr) codec = avcodec_find_encoder(AV_CODEC_ID_H264);
    if (codec == nullptr)
      throw UserError(
          cat(path_, ": this FFmpeg has no H.264 encoder. Write a .gif, or install an FFmpeg with libx264."));
    open_output("mp4", codec);
    encoder_->width = padded(width_);
    encoder_->height = padded(height_);
    encoder_->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder_->framerate = av_d2q(options_.fps, 100000);
    encoder_->time_base = av_inv_q(encoder_->framerate);
    encoder_->colorspace = AVCOL_SPC_BT709;
    encoder_->color_primaries = AVCOL_PRI_BT709;
    encoder_->color_trc = AVCOL_TRC_BT709;
    encoder_->color_range = AVCOL_RANGE_MPEG;
    AVDictionary* settings = nullptr;
    av_dict_set_int(&settings, "crf", options_.quality, 0);
    av_dict_set(&settings, "preset", "medium", 0);
    start(codec, &settings);
    const int w = encoder_->width, h = encoder_->height;
    scaler_.reset(sws_getContext(w, h, AV_PIX_FMT_RGB24, w, h, AV_PIX_FMT_YUV420P,
                                 SWS_BICUBIC | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
    if (!scaler_) throw SystemError("out of memory while a video was opened.");
    const int* coefficients = sws_getCoefficients(SWS_CS_ITU709);
    sws_setColorspaceDetails(scaler_.get(), coefficients, 1, coefficients, 0, 0, 1 << 16, 1 << 16);
  }

  void encode_rgb(const Image8& image) {
    const int w = encoder_->width, h = encoder_->height;
    rgb_.resize(static_cast<size_t>(w) * static_cast<size_t>(h) * 3);
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x)
        std::memcpy(&rgb_[(static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x)) * 3],
                    image.at(std::min(x, image.width - 1), std::min(y, image.height - 1)), 3);
    if (const int code = av_frame_make_writable(frame_.get()); code < 0) fail(path_, "encoding", code);
    const uint8_t* planes[] = {rgb_.data()};
    const int strides[] = {w * 3};
    sws_scale(scaler_.get(), planes, strides, 0, h, frame_->data, frame_->linesize);
    frame_->pts = n_frames_;
    send(frame_.get());
  }

  void write_gif() {
    const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_GIF);
    if (codec == nullptr) throw UserError(cat(path_, ": this FFmpeg has no GIF encoder. Write an .mp4."));
    open_output("gif", codec);
    encoder_->width = width_;
    encoder_->height = height_;
    encoder_->pix_fmt = AV_PIX_FMT_PAL8;
    encoder_->time_base = {1, 100};
    const int delay =
        std::max(2, static_cast<int>(std::lround(100 / options_.fps)));  // browsers slow below 2 down
    AVDictionary* settings = nullptr;
    start(codec, &settings);
    const Palette palette = choose_palette(gif_frames_);
    for (size_t i = 0; i < gif_frames_.size(); ++i) {
      if (const int code = av_frame_make_writable(frame_.get()); code < 0) fail(path_, "encoding", code);
      const std::vector<uint8_t> indices = apply_palette(gif_frames_[i], palette);
      for (int y = 0; y < height_; ++y)
        std::memcpy(frame_->data[0] + static_cast<ptrdiff_t>(y) * frame_->linesize[0],
                    &indices[static_cast<size_t>(y) * static_cast<size_t>(width_)],
                    static_cast<size_t>(width_));
      auto* argb = reinterpret_cast<uint32_t*>(frame_->data[1]);
      for (size_t c = 0; c < 256; ++c) {
        const auto colour = palette.colours[std::min(c, palette.colours.size() - 1)];
        argb[c] = 0xff000000u | uint32_t{colour[0]} << 16 | uint32_t{colour[1]} << 8 | uint32_t{colour[2]};
      }
      frame_->pts = static_cast<int64_t>(i) * delay;
      send(frame_.get());
    }
    gif_frames_.clear();
  }

  void send(const AVFrame* frame) {
    if (const int code = avcodec_send_frame(encoder_.get(), frame); code < 0) fail(path_, "encoding", code);
    while (true) {
      const int code = avcodec_receive_packet(encoder_.get(), packet_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      if (code < 0) fail(path_, "encoding", code);
      if (!is_gif_) packet_->duration = 1;
      av_packet_rescale_ts(packet_.get(), encoder_->time_base, stream_->time_base);
      packet_->stream_index = stream_->index;
      if (const int written = av_interleaved_write_frame(output_.get(), packet_.get()); written < 0)
        fail(path_, "writing", written);
    }
  }

  void close_output() {
    if (output_ && output_->pb != nullptr) avio_closep(&output_->pb);
    output_.reset();
  }

  std::string path_, temporary_;
  VideoOptions options_;
  bool is_gif_ = false, is_done_ = false;
  int width_ = 0, height_ = 0, n_frames_ = 0;
  std::vector<Image8> gif_frames_;
  std::vector<uint8_t> rgb_;
  ffmpeg::Output output_;
  ffmpeg::Codec encoder_;
  ffmpeg::Frame frame_;
  ffmpeg::Packet packet_;
  ffmpeg::Scaler scaler_;
  AVStream* stream_ = nullptr;  // belongs to output_
};

bool has_video() {
  return true;
}

}  // namespace t3d::io

#else

namespace t3d::io {

class VideoWriter::Impl {
 public:
  Impl(const std::string& path, const VideoOptions&) {
    throw UserError(cat(path,
                        ": this build cannot write video; install libavcodec-dev, libavformat-dev, "
                        "libavutil-dev and libswscale-dev and build again."));
  }
  void add(const Image8&) {}
  void finish() {}
};

bool has_video() {
  return false;
}

}  // namespace t3d::io

#endif

namespace t3d::io {

VideoWriter::VideoWriter(const std::string& path, const VideoOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}
VideoWriter::~VideoWriter() = default;
VideoWriter::VideoWriter(VideoWriter&&) noexcept = default;
VideoWriter& VideoWriter::operator=(VideoWriter&&) noexcept = default;
void VideoWriter::add(const Image8& frame) {
  impl_->add(frame);
}
void VideoWriter::finish() {
  impl_->finish();
}

}  // namespace t3d::io
