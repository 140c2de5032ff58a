//! From the bytes of a picture to patches of resized pixels.
//!
//! `decode` reads files, `smart_resize` chooses the size, `resample` changes it, `patches` puts the pixels into the order of the
//! vision tower. Nothing here knows a conversation or a token.

mod decode;
mod error;
mod jpeg;
mod patches;
mod resample;
mod smart_resize;

pub(crate) use decode::Probe;
pub use decode::{DEFAULT_MAX_DECODED_PIXELS, Rgb};
pub use error::ImageError;
pub(crate) use patches::{Normalization, PatchShape};
pub use patches::{Visual, patchify};
pub use resample::resize;
pub use smart_resize::{MAX_ASPECT_RATIO, PixelRange, SmartResizeError, smart_resize};
pub fn debug_time(path: &str) {
    use std::time::Instant;
    let source = crate::ImageSource::Path(path.into());
    for _ in 0..7 {
        let t0 = Instant::now();
        let p = Probe::new(&source, DEFAULT_MAX_DECODED_PIXELS).unwrap();
        let t1 = Instant::now();
        let rgb = p.decode().unwrap();
        let t2 = Instant::now();
        let (w, h) = smart_resize(p.width, p.height, 28, PixelRange { min_pixels: 3136, max_pixels: 12845056 }).unwrap();
        let small = resize(rgb, w, h);
        let t3 = Instant::now();
        let v = Visual::new(&[small], false, PatchShape { patch_size: 14, merge_size: 2, temporal_patch_size: 2 }, Normalization { mean: [0.0; 3], std: [1.0; 3] });
        let t4 = Instant::now();
        let mut out = vec![0.0; 256 * v.row_len()];
        let mut at = 0;
        while at < v.num_patches() { let n = 256.min(v.num_patches() - at); v.write_rows(at..at + n, &mut out[..n * 1176]); at += n; }
        let t5 = Instant::now();
        println!("probe {:?} decode {:?} resize {:?} patches {:?} rows {:?} {:?}", t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t4, v.grid);
    }
    let rgb = Probe::new(&source, DEFAULT_MAX_DECODED_PIXELS).unwrap().decode().unwrap();
    if let Some(out) = std::env::args().nth(2) { std::fs::write(out, &rgb.pixels).unwrap(); }
    if let Some(size) = std::env::args().nth(4) { let s: Vec<usize> = size.split('x').map(|v| v.parse().unwrap()).collect(); std::fs::write(std::env::args().nth(3).unwrap(), resize(rgb, s[0], s[1]).pixels).unwrap(); }
}
