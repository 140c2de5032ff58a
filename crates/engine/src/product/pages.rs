//! Memory for weights: straight from the operating system, in large pages where it has them.
//!
//! Weights are gigabytes that are written once; large pages make that faster by the page faults they save.

use bytemuck::Pod;
use memmap2::MmapMut;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A zeroed buffer that begins at a page.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    map: Option<MmapMut>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Pages<T> {
    /// `len` zeros.
    ///
    /// # Panics
    /// If the system has no memory left, as any allocation does.
    pub(crate) fn zeroed(len: usize) -> Self {
        let map = (len > 0).then(|| {
            let map = MmapMut::map_anon(len * size_of::<T>()).expect("memory for the weights");
            #[cfg(target_os = "linux")]
            // Only a wish: without large pages everything works, slower.
            let _ = map.advise(memmap2::Advice::HugePage);
            map
        });
        Self { map, len, element: PhantomData }
    }
}

impl<T: Pod> Deref for Pages<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.map.as_deref().map_or(&[], |bytes| &bytemuck::cast_slice(bytes)[..self.len])
    }
}

impl<T: Pod> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let len = self.len;
        self.map.as_deref_mut().map_or(&mut [], |bytes| &mut bytemuck::cast_slice_mut(bytes)[..len])
    }
}
