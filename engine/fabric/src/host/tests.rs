use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use varan_environment::{Monotonic, RealEnvironment};
use varan_ethernet::{Frame, VlanTag};

use super::*;
use crate::driver::Driver;
use crate::{Outbox, Place, PortNumber};

/// Sends everything back.
struct Mirror(Sender<bool>);

impl Place for Mirror {
    type Event = ();

    fn receive(&mut self, _: Monotonic, port: PortNumber, frame: Frame, out: &mut Outbox) {
        out.send(port, frame);
    }

    fn carrier(&mut self, _: Monotonic, _: PortNumber, up: bool, _: &mut Outbox) {
        let _ = self.0.send(up);
    }

    fn tick(&mut self, _: Monotonic, _: &mut Outbox) {}

    fn next_due(&self) -> Option<Monotonic> {
        None
    }

    fn take_events(&mut self) -> Vec<()> {
        Vec::new()
    }
}

#[test]
fn a_program_on_a_socket_gets_frames_with_their_lengths() {
    let driver = Driver::threaded(Arc::new(RealEnvironment::new())).expect("a thread");
    let (sender, carriers) = channel();
    let place = driver.add(Mirror(sender), |()| {});
    let path = std::env::temp_dir().join(format!("varan-socket-{}", std::process::id()));
    let peer = attach_socket(&driver.wiring(), place.port(PortNumber(0)), &path).expect("a socket");
    for _ in 0..2 {
        let mut program = UnixStream::connect(&path).expect("a connection");
        assert_eq!(carriers.recv(), Ok(true));
        let mut wire = vec![0xFF; 12];
        wire.extend([0x81, 0x00, 0x00, 0x05, 0x08, 0x00, 1, 2, 3]);
        for _ in 0..100 {
            program.write_all(&(wire.len() as u32).to_be_bytes()).expect("written");
            program.write_all(&wire).expect("written");
        }
        for _ in 0..100 {
            let mut back = vec![0; 4 + wire.len()];
            program.read_exact(&mut back).expect("a frame");
            assert_eq!(back[..4], (wire.len() as u32).to_be_bytes());
            assert_eq!(back[4..], wire);
        }
        drop(program);
        assert_eq!(carriers.recv(), Ok(false));
    }
    drop(peer);
    assert!(UnixStream::connect(&path).is_err());
}

#[test]
fn a_capture_has_headers_and_frames_as_on_a_wire() {
    let mut file = Vec::new();
    let mut writer = CaptureWriter::new(&mut file).expect("a header");
    let mut frame = Frame::new(vec![0xAB; 60]).expect("a frame");
    frame.tag = Some(VlanTag::of(3_455));
    writer.write(Duration::new(1_480_708_176, 123_456_789), &frame).expect("a record");
    assert_eq!(file.len(), 24 + 16 + 64);
    assert_eq!(file[..8], [0x4D, 0x3C, 0xB2, 0xA1, 2, 0, 4, 0]);
    assert_eq!(file[20..24], [1, 0, 0, 0]);
    assert_eq!(u32::from_le_bytes(file[28..32].try_into().expect("four bytes")), 123_456_789);
    assert_eq!(file[32..36], [64, 0, 0, 0]);
    assert_eq!(file[52..56], [0x81, 0, 0x0D, 0x7F]);
}
