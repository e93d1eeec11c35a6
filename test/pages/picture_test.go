package pages_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
)

// A picture is compared in blocks of 8 by 8 pixels: the mean grey of each, in 15 levels. A block differs when its mean
// is further from the recorded level than half a level and [apart]; a picture differs when more than [tolerated] of
// its blocks do, or when its size is another. TestTheTolerance shows what is within it and what is not.
const (
	block     = 8
	levels    = 15
	apart     = 20
	tolerated = 6
	tallest   = 2400 // pixels of a page that are compared
	padding   = levels
)

// blocks are the means of a picture's blocks, row by row.
type blocks struct {
	width, height int
	mean          []uint8 // 0 to 255
}

// blocksOf reduces a picture.
func blocksOf(picture image.Image) blocks {
	full, ok := picture.(*image.RGBA) // as the decoder makes it
	if !ok {
		full = image.NewRGBA(image.Rect(0, 0, picture.Bounds().Dx(), picture.Bounds().Dy()))
		draw.Draw(full, full.Bounds(), picture, picture.Bounds().Min, draw.Src)
	}
	b := blocks{width: full.Bounds().Dx() / block, height: min(full.Bounds().Dy(), tallest) / block}
	b.mean = make([]uint8, b.width*b.height)
	for n := range b.mean {
		b.mean[n] = grey(full, n%b.width*block, n/b.width*block)
	}
	return b
}

// grey is the mean brightness of a block.
func grey(picture *image.RGBA, left, top int) uint8 {
	sum := 0
	for y := top; y < top+block; y++ {
		row := picture.Pix[picture.PixOffset(left, y):]
		for x := range block {
			sum += 299*int(row[x*4]) + 587*int(row[x*4+1]) + 114*int(row[x*4+2])
		}
	}
	return uint8(sum / (1000 * block * block)) //nolint:gosec // at most 255
}

// levelOf is the recorded level of a mean, and centre the mean of a level.
func levelOf(mean uint8) uint8   { return uint8(int(mean) * levels / 256) } //nolint:gosec // below 15
func centre(level uint8) int     { return (2*int(level) + 1) * 256 / (2 * levels) }
func far(mean, level uint8) bool { return abs(int(mean)-centre(level)) > 256/(2*levels)+apart }

func abs(n int) int { return max(n, -n) }

// compare returns the blocks of a picture that differ from the recorded levels, and why they are too many; "" = they
// are not.
func (b blocks) compare(recorded blocks) (different []int, why string) {
	if b.width != recorded.width || b.height != recorded.height {
		return nil, fmt.Sprintf("it was %d x %d px and is %d x %d px", recorded.width*block, recorded.height*block,
			b.width*block, b.height*block)
	}
	for n, mean := range b.mean {
		if far(mean, recorded.mean[n]) {
			different = append(different, n)
		}
	}
	if len(different) > tolerated {
		why = fmt.Sprintf("%d of %d blocks differ (%.2f %%), %d are tolerated",
			len(different), len(b.mean), 100*float64(len(different))/float64(len(b.mean)), tolerated)
	}
	return different, why
}

// writeSheet writes the file of a page: the levels of its pictures side by side, in the order of states.
func writeSheet(file string, pictures []blocks) error {
	width, height := 0, 0
	for _, p := range pictures {
		width += p.width
		height = max(height, p.height)
	}
	out := image.NewPaletted(image.Rect(0, 0, width, height), palette())
	for n := range out.Pix {
		out.Pix[n] = padding
	}
	left := 0
	for _, p := range pictures {
		for n, mean := range p.mean {
			out.Pix[out.PixOffset(left+n%p.width, n/p.width)] = levelOf(mean)
		}
		left += p.width
	}
	return writePNG(file, out)
}

// palette has the greys, and a colour for what is outside of a picture.
func palette() color.Palette {
	var p color.Palette
	for level := range uint8(levels) {
		p = append(p, color.Gray{Y: uint8(centre(level))}) //nolint:gosec // below 256
	}
	return append(p, color.NRGBA{R: 0x20, G: 0x40, B: 0xc0, A: 0xff})
}

// readSheet reads what writeSheet has written. Pictures have these widths, in pixels.
func readSheet(file string, widths []int64) ([]blocks, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	decoded, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	sheet, ok := decoded.(*image.Paletted)
	if !ok {
		return nil, fmt.Errorf("%s is not a sheet of levels", file)
	}
	var pictures []blocks
	left := 0
	for _, pixels := range widths {
		p := blocks{width: int(pixels) / block}
		for p.height < sheet.Bounds().Dy() && sheet.ColorIndexAt(left, p.height) != padding {
			for x := range p.width {
				p.mean = append(p.mean, sheet.ColorIndexAt(left+x, p.height))
			}
			p.height++
		}
		pictures = append(pictures, p)
		left += p.width
	}
	return pictures, nil
}

// mark writes a picture with frames around the blocks that differ.
func mark(file string, picture image.Image, different []int) error {
	out := image.NewNRGBA(image.Rect(0, 0, picture.Bounds().Dx(), picture.Bounds().Dy()))
	draw.Draw(out, out.Bounds(), picture, picture.Bounds().Min, draw.Src)
	width := out.Bounds().Dx() / block
	red := image.NewUniform(color.NRGBA{R: 0xff, B: 0x60, A: 0x90})
	for _, n := range different {
		x, y := n%width*block, n/width*block
		draw.Draw(out, image.Rect(x, y, x+block, y+block), red, image.Point{}, draw.Over)
	}
	return writePNG(file, out)
}

func writePNG(file string, picture image.Image) error {
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, picture); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}
