//! The handles of an SFTP session.

use std::collections::{HashMap, VecDeque};

use crate::home::{Entry, HomeFile};
use crate::limits;

/// What a handle stands for.
#[derive(Debug)]
pub(super) enum Handle {
    File { file: HomeFile, readable: bool, writable: bool },
    Directory(VecDeque<Entry>),
}

/// The open handles; their numbers are never used twice.
#[derive(Debug, Default)]
pub(super) struct Handles {
    open: HashMap<u32, Handle>,
    next: u32,
}

impl Handles {
    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= limits::SFTP_HANDLES
    }

    /// Keeps a handle and gives its number.
    pub(super) fn insert(&mut self, handle: Handle) -> u32 {
        while self.open.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.insert(number, handle);
        number
    }

    pub(super) fn get(&mut self, name: &[u8]) -> Option<&mut Handle> {
        self.open.get_mut(&number(name)?)
    }

    pub(super) fn close(&mut self, name: &[u8]) -> Option<Handle> {
        self.open.remove(&number(name)?)
    }
}

fn number(name: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(name.try_into().ok()?))
}
