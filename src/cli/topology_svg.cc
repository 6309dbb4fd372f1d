// The drawing of `peerlane topology --svg`: the tree, a box for each line, and below it the matrix.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "cli/topology_view.h"

namespace peerlane::cli {
namespace {

using RowKind = TopologyRow::Kind;

// In pixels.
constexpr unsigned kMargin = 16;
constexpr unsigned kRow = 26;
constexpr unsigned kIndent = 24;
constexpr unsigned kCharacter = 7;  // of a 12 pixel monospaced font, rounded down
constexpr unsigned kCell = 96;
constexpr unsigned kBoxPadding = 8;

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        // What is no plain text might be no UTF-8 either, which would spoil the file.
        escaped += c >= ' ' && c <= '~' ? c : '?';
    }
  }
  return escaped;
}

const char* fill_of(RowKind kind) {
  switch (kind) {
    case RowKind::kRootBus:
      return "#d0d7de";
    case RowKind::kMemory:
      return "#b7e4c7";
    case RowKind::kController:
    case RowKind::kDisk:
      return "#bcdcf5";
    default:
      return "#f3f4f6";
  }
}

const char* fill_of(std::string_view way) {
  if (way == "bus") return "#74c69d";
  if (way == "bridge") return "#b7e4c7";
  return way == "?" ? "#ffe8a3" : "#e5e7eb";
}

std::string text_at(unsigned x, unsigned y, std::string_view text) {
  return fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", x, y, escape(text));
}

std::string box(unsigned x, unsigned y, unsigned width, unsigned height, const char* fill) {
  return fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"{}\" stroke=\"#57606a\"/>\n",
                     x, y, width, height, fill);
}

unsigned width_of(const TopologyRow& row) {
  return static_cast<unsigned>(row.name.size() + 2 + row.text.size()) * (kCharacter + 1) + 2 * kBoxPadding;
}

/// A line from a row down and to the right, to one that is below it in the tree.
std::string connector(unsigned depth, unsigned from_y, unsigned to_y) {
  const unsigned x = kMargin + (depth - 1) * kIndent + kIndent / 2;
  return fmt::format("<path d=\"M{} {} V{} H{}\" fill=\"none\" stroke=\"#57606a\"/>\n", x, from_y, to_y,
                     kMargin + depth * kIndent);
}

std::string tree(const TopologyView& view, unsigned& y) {
  std::string drawing;
  std::vector<unsigned> last;  // where the last row of each depth is
  for (const TopologyRow& row : view.rows) {
    last.resize(row.depth + 1u, y);
    last[row.depth] = y;
    if (row.depth > 0) drawing += connector(row.depth, last[row.depth - 1] + kRow - 4, y + (kRow - 4) / 2);
    const unsigned x = kMargin + row.depth * kIndent;
    drawing += box(x, y, width_of(row), kRow - 4, fill_of(row.kind));
    drawing += text_at(x + kBoxPadding, y + 15, row.name + "  " + row.text);
    y += kRow;
  }
  return drawing;
}

std::string cell(const TopologyPair& pair, unsigned x, unsigned y) {
  const std::string way = way_word(pair.verdict);
  std::string drawing =
      "<g><title>" + escape(pair.verdict.reason) + "</title>\n" + box(x, y, kCell - 4, kRow - 4, fill_of(way));
  const std::string speed =
      pair.verdict.bandwidth ? fmt::format(" {:.2f}", static_cast<double>(*pair.verdict.bandwidth) / 1e9) : "";
  return drawing + text_at(x + kBoxPadding, y + 15, way + speed) + "</g>\n";
}

std::string matrix(const TopologyView& view, unsigned& y) {
  std::string drawing = text_at(
      kMargin, y + 15,
      fmt::format("Copies from the left to the top, policy {}, GB/s of the slowest link", to_string(view.policy)));
  y += kRow;
  for (std::size_t to = 0; to < view.disks.size(); ++to) {
    drawing += text_at(kMargin + static_cast<unsigned>(to + 1) * kCell + kBoxPadding, y + 15, view.disks[to]->name);
  }
  for (std::size_t from = 0; from < view.disks.size(); ++from) {
    y += kRow;
    drawing += text_at(kMargin, y + 15, view.disks[from]->name);
    for (std::size_t to = 0; to < view.disks.size(); ++to) {
      const TopologyPair* const pair = view.find(from, to);
      if (pair != nullptr) drawing += cell(*pair, kMargin + static_cast<unsigned>(to + 1) * kCell, y);
    }
  }
  y += kRow;
  return drawing;
}

}  // namespace

std::string to_svg(const TopologyView& view) {
  unsigned y = kMargin;
  std::string drawing = tree(view, y);
  y += kRow / 2;
  if (view.disks.size() > 1) drawing += matrix(view, y);
  unsigned width = 2 * kMargin + static_cast<unsigned>(view.disks.size() + 1) * kCell;
  for (const TopologyRow& row : view.rows) {
    width = std::max(width, 2 * kMargin + row.depth * kIndent + width_of(row));
  }
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"monospace\" "
      "font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
      width, y + kMargin, drawing);
}

}  // namespace peerlane::cli
