#include <functional>

#include "t3d/core/error.h"
#include "t3d/io/video.h"

#ifdef T3D_HAS_FFMPEG
#include "t3d/io/ffmpeg.h"

namespace t3d::io {
namespace {

/// From the times of the first and the last of n frames: what a file's header says of them differs between
/// versions of FFmpeg (GIF: 25 for 20).
double frames_per_second(int n, int64_t first, int64_t last, const AVStream& stream) {
  if (n < 2 || last <= first) return av_q2d(stream.avg_frame_rate);
  return (n - 1) / (static_cast<double>(last - first) * av_q2d(stream.time_base));
}

/// Decodes frame after frame until `take` says false.
VideoInfo decode(const std::string& path, const std::function<bool(const AVFrame&)>& take) {
  const auto broken = [&](const char* what) { return UserError(cat(path, ": ", what, ".")); };
  AVFormatContext* opened = nullptr;
  av_log_set_level(AV_LOG_FATAL);
  if (avformat_open_input(&opened, path.c_str(), nullptr, nullptr) < 0)
    throw broken("this is no video, or it cannot be read");
  const ffmpeg::Input input(opened);
  if (avformat_find_stream_info(input.get(), nullptr) < 0)
    throw broken("the video's streams cannot be found; it is damaged");
  const AVCodec* codec = nullptr;
  const int index = av_find_best_stream(input.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  if (index < 0 || codec == nullptr) throw broken("the file holds no picture stream that can be decoded");
  const AVStream* stream = input->streams[index];
  const ffmpeg::Codec decoder(avcodec_alloc_context3(codec));
  const ffmpeg::Packet packet(av_packet_alloc());
  const ffmpeg::Frame frame(av_frame_alloc());
  if (!decoder || !packet || !frame) throw SystemError("out of memory while a video was read.");
  if (avcodec_parameters_to_context(decoder.get(), stream->codecpar) < 0 ||
      avcodec_open2(decoder.get(), codec, nullptr) < 0)
    throw broken("the video's decoder cannot be started");
  VideoInfo info;
  info.codec = codec->name;
  info.width = decoder->width;
  info.height = decoder->height;
  int64_t first = 0, last = 0;  // times of frames
  bool is_at_end = false;
  while (true) {
    const int code = avcodec_receive_frame(decoder.get(), frame.get());
    if (code == AVERROR_EOF) {
      info.fps = frames_per_second(info.n_frames, first, last, *stream);
      return info;
    }
    if (code == 0) {
      last = frame->best_effort_timestamp;
      if (info.n_frames++ == 0) first = last;
      if (!take(*frame)) return info;
      continue;
    }
    if (code != AVERROR(EAGAIN)) throw broken("a frame cannot be decoded; the video is damaged");
    // The decoder wants more.
    while (!is_at_end) {
      if (av_read_frame(input.get(), packet.get()) < 0) {
        is_at_end = true;
        avcodec_send_packet(decoder.get(), nullptr);
        break;
      }
      const bool is_ours = packet->stream_index == index;
      const int sent = is_ours ? avcodec_send_packet(decoder.get(), packet.get()) : 0;
      av_packet_unref(packet.get());
      if (sent < 0) throw broken("a frame cannot be decoded; the video is damaged");
      if (is_ours) break;
    }
  }
}

}  // namespace

VideoInfo read_video_info(const std::string& path) {
  return decode(path, [](const AVFrame&) { return true; });
}

Image8 read_video_frame(const std::string& path, int index) {
  Image8 image;
  int i = 0;
  decode(path, [&](const AVFrame& frame) {
    if (i++ < index) return true;
    image = Image8(frame.width, frame.height, 3);
    const auto format = static_cast<AVPixelFormat>(frame.format);
    const ffmpeg::Scaler scaler(
        sws_getContext(frame.width, frame.height, format, frame.width, frame.height, AV_PIX_FMT_RGB24,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr));
    if (!scaler) throw SystemError("out of memory while a video was read.");
    if (frame.colorspace == AVCOL_SPC_BT709) {
      const int* coefficients = sws_getCoefficients(SWS_CS_ITU709);
      sws_setColorspaceDetails(scaler.get(), coefficients, 0, coefficients, 1, 0, 1 << 16, 1 << 16);
    }
    uint8_t* planes[] = {image.pixels.data()};
    const int strides[] = {frame.width * 3};
    sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, planes, strides);
    return false;
  });
  if (image.empty()) throw UserError(cat(path, ": the video has no frame ", index, "; it has ", i, "."));
  return image;
}

}  // namespace t3d::io

#else

namespace t3d::io {

VideoInfo read_video_info(const std::string& path) {
  throw UserError(cat(path,
                      ": this build cannot read video; install libavcodec-dev, libavformat-dev, "
                      "libavutil-dev and libswscale-dev and build again."));
}
Image8 read_video_frame(const std::string& path, int) {
  read_video_info(path);
  return {};
}

}  // namespace t3d::io

#endif
