//! Videos that a benchmark gives as folders of frames: which frames are shown to the model.
//!
//! Frames are named and not opened.
//!
//! # Source
//! MM-RLHF, `llava/eval/eval_mm_reward_bench.py`: the files in the order of their names, 32 of them at equal distances with both ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::RowFault;
use prompt::{ImageSource, VideoSource};

/// Frames that are shown of a longer video.
const MAX_FRAMES: usize = 32;

/// Frames per second of what is shown. The folders do not say it; this is what the processor of Qwen2.5-VL assumes of such a video.
const FRAMES_PER_SECOND: f64 = 2.0;

const PICTURE_EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];

/// The frames that stand for the video in a folder. Of a video of at most [`MAX_FRAMES`] frames, these are all.
pub(super) fn video(folder: &Path) -> Result<Arc<VideoSource>, RowFault> {
    let files = frame_files(folder)?;
    let frames = sampled(files.len()).into_iter().map(|frame| files[frame].clone());
    let frames = frames.map(ImageSource::Path).collect();
    Ok(Arc::new(VideoSource { frames, fps: FRAMES_PER_SECOND }))
}

fn frame_files(folder: &Path) -> Result<Vec<PathBuf>, RowFault> {
    let fault = |reason: String| RowFault::Frames { folder: folder.display().to_string(), reason };
    let entries = fs::read_dir(folder).map_err(|error| fault(error.to_string()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| fault(error.to_string()))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_picture = extension
            .is_some_and(|own| PICTURE_EXTENSIONS.iter().any(|one| own.eq_ignore_ascii_case(one)));
        if is_picture && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(fault("the folder holds no picture".to_owned()));
    }
    // PARITY: as texts, so that `10.jpg` comes before `2.jpg`.
    files.sort();
    Ok(files)
}

/// Indices of the frames that are shown out of `num_frames`.
fn sampled(num_frames: usize) -> Vec<usize> {
    if num_frames <= MAX_FRAMES {
        return (0..num_frames).collect();
    }
    let last = num_frames - 1;
    // PARITY: numpy's `linspace` multiplies by the step, sets the last value itself, and truncates for whole numbers.
    let step = last as f64 / (MAX_FRAMES - 1) as f64;
    let place =
        |index: usize| if index == MAX_FRAMES - 1 { last } else { (index as f64 * step) as usize };
    (0..MAX_FRAMES).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_sampled_as_numpy_does_with_both_ends() {
        // numpy 2.4.6: linspace(0, n - 1, 32, dtype=int).
        assert_eq!(sampled(33), (0..=30).chain([32]).collect::<Vec<_>>());
        assert_eq!(sampled(63), (0..=62).step_by(2).collect::<Vec<_>>());
        assert_eq!(
            sampled(100),
            [
                0, 3, 6, 9, 12, 15, 19, 22, 25, 28, 31, 35, 38, 41, 44, 47, 51, 54, 57, 60, 63, 67,
                70, 73, 76, 79, 83, 86, 89, 92, 95, 99
            ]
        );
    }

    #[test]
    fn short_videos_are_shown_as_they_are() {
        for num_frames in [1, 5, 31, 32] {
            assert_eq!(sampled(num_frames), (0..num_frames).collect::<Vec<_>>());
        }
    }

    #[test]
    fn only_pictures_are_frames_and_their_names_are_their_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.JPG", "a.png", "notes.txt", "10.jpg", "2.jpg"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let video = video(folder.path()).unwrap();
        let names: Vec<String> = video.frames.iter().map(ImageSource::name).collect();
        let path = |name: &str| folder.path().join(name).display().to_string();
        assert_eq!(names, ["10.jpg", "2.jpg", "a.png", "b.JPG"].map(path));
    }

    #[test]
    fn a_folder_that_is_missing_or_holds_no_picture_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let said = video(folder.path()).unwrap_err().to_string();
        assert!(said.contains(&folder.path().display().to_string()), "{said}");
        assert!(said.contains("holds no picture"), "{said}");
        let said = video(&folder.path().join("gone")).unwrap_err().to_string();
        assert!(said.contains("gone"), "{said}");
    }
}
