//! Buffers of frames, kept to be used again.

use crate::Frame;

/// Emptied buffers of one owner. Taking from a pool that is warm and giving back do not allocate.
#[derive(Debug, Default)]
pub struct FramePool {
    buffers: Vec<Vec<u8>>,
    most: usize,
}

impl FramePool {
    /// A pool that keeps at most so many buffers; what is given back beyond is freed.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { buffers: Vec::new(), most }
    }

    /// An empty frame.
    pub fn take(&mut self) -> Frame {
        Frame::in_buffer(self.buffers.pop().unwrap_or_default())
    }

    /// A copy of a frame.
    pub fn copy(&mut self, of: &Frame) -> Frame {
        let mut frame = self.take();
        frame.copy_from(of);
        frame
    }

    /// Gives a frame's buffer back.
    pub fn give(&mut self, frame: Frame) {
        let buffer = frame.into_buffer();
        if self.buffers.len() < self.most && buffer.capacity() > 0 {
            self.buffers.push(buffer);
        }
    }

    /// Buffers that wait to be used.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.buffers.len()
    }
}
