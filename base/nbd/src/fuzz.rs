//! The entry for fuzzing: whatever a client or a server sends, the other side must not panic, and holds no more memory than
//! its limits say.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::client::Client;
use crate::export::{
    Answer, Export, ExportInformation, Exports, Failure, OpenError, OpenErrorKind, Operation, Reply,
    StatusExtent,
};
use crate::protocol::{STATE_HOLE, STATE_ZERO};
use crate::server::{Limits, serve};
use crate::transport::{Patience, Transport};

const SIZE: usize = 8_192;

/// Bytes that were recorded, a piece at a time; what is sent is counted.
struct Recorded {
    input: Mutex<(Vec<u8>, usize)>,
    piece: usize,
    sent: Mutex<usize>,
}

impl Transport for Recorded {
    fn receive(&self, into: &mut [u8], _: Patience) -> Result<usize> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, start) = &mut *input;
        let count = into.len().min(bytes.len() - *start).min(self.piece);
        into[..count].copy_from_slice(&bytes[*start..*start + count]);
        *start += count;
        Ok(count)
    }

    fn send(&self, parts: &[IoSlice<'_>], _: bool) -> Result<usize> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = parts.iter().map(|part| part.len()).sum();
        // Parts of messages as well as whole ones.
        let count = count.min(self.piece * 7);
        *sent += count;
        if *sent > 64 << 20 { Err(Error::from(ErrorKind::BrokenPipe)) } else { Ok(count) }
    }

    fn wait_writable(&self) {}

    fn limit_receiving(&self, _: Option<Duration>) {}

    fn close(&self) {}
}

/// One export of some zeros and ones.
struct Bytes(Mutex<Vec<u8>>);

struct One(Arc<Bytes>);

impl Exports for One {
    type Export = Arc<Bytes>;

    fn names(&self) -> Vec<String> {
        vec![String::new(), "one".to_owned()]
    }

    fn describe(&self, name: &str) -> std::result::Result<ExportInformation, OpenError> {
        self.open(name).map(|export| export.information())
    }

    fn open(&self, name: &str) -> std::result::Result<Arc<Bytes>, OpenError> {
        match name {
            "" | "one" => Ok(Arc::clone(&self.0)),
            "denied" => Err(OpenError::new(OpenErrorKind::Denied, "not for you")),
            _ => Err(OpenError::new(OpenErrorKind::Unknown, "no such export")),
        }
    }
}

impl Export for Arc<Bytes> {
    type Buffer = Vec<u8>;

    fn information(&self) -> ExportInformation {
        ExportInformation { minimum_block: 512, ..ExportInformation::new(SIZE as u64) }
    }

    fn buffer(&self, length: usize) -> Vec<u8> {
        assert!(length <= SIZE, "memory for what the export cannot have");
        vec![1; length]
    }

    fn submit(&self, operation: Operation<Vec<u8>>, reply: Reply<Vec<u8>>) {
        reply(self.perform(operation));
    }

    fn perform(&self, operation: Operation<Vec<u8>>) -> std::result::Result<Answer<Vec<u8>>, Failure> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = bytes.len();
        let range = |offset: u64, length: u64| {
            let (start, length) = (usize::try_from(offset), usize::try_from(length));
            let (start, length) = (start.expect("inside"), length.expect("inside"));
            assert!(start % 512 == 0 && length % 512 == 0, "requests are aligned");
            assert!(start + length <= inside, "requests are inside");
            start..start + length
        };
        Ok(match operation {
            Operation::Read { offset, mut buffer } => {
                let range = range(offset, buffer.len() as u64);
                buffer.copy_from_slice(&bytes[range]);
                Answer::Data(buffer)
            }
            Operation::Write { offset, data, .. } => {
                let range = range(offset, data.len() as u64);
                bytes[range].copy_from_slice(&data);
                Answer::Done
            }
            Operation::Flush => Answer::Done,
            Operation::Trim { offset, length, .. } | Operation::Zero { offset, length, .. } => {
                let range = range(offset, length);
                bytes[range].fill(0);
                Answer::Done
            }
            Operation::Status { offset, length, limit } => {
                assert!(limit > 0 && !range(offset, length).is_empty(), "something is asked for");
                let length = u32::try_from(length).expect("short");
                Answer::Status(vec![StatusExtent { length, flags: STATE_HOLE | STATE_ZERO }])
            }
        })
    }
}

/// Serves a client that sends `data`, and is the client of a server that sends it; the first byte says in what pieces it
/// comes.
///
/// # Panics
/// If a check was forgotten that an export relies on.
pub fn fuzz_one(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let recorded = || Recorded {
        input: Mutex::new((data.to_vec(), 0)),
        piece: usize::from(*first).max(1),
        sent: Mutex::new(0),
    };
    let one = One(Arc::new(Bytes(Mutex::new(vec![0; SIZE]))));
    // How it ends is the client's doing.
    let _ = serve(&Arc::new(recorded()), &one, &Limits::default());
    if let Ok(client) = Client::<_, Vec<u8>>::connect(recorded(), "one", Duration::from_secs(1)) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let reply: Reply<Vec<u8>> = Box::new(move |result| {
            if let Ok(Answer::Data(bytes)) = result {
                assert_eq!(bytes.len(), 1_024);
            }
            let _ = sender.send(());
        });
        let read = Operation::Read { offset: 512, buffer: vec![0; 1_024] };
        assert!(client.submit(read, reply).is_ok(), "the first request has room");
        assert!(receiver.recv().is_ok(), "every request ends");
    }
}
