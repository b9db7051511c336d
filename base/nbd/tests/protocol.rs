//! What the server answers, byte by byte, to what a client sends.

#![allow(missing_docs)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_nbd::{
    Answer, Client, ConnectError, ErrorNumber, Export, ExportInformation, Exports, Failure, Limits,
    OpenError, OpenErrorKind, Operation, Reply, STATE_HOLE, STATE_ZERO, Server, StatusExtent, listen, serve,
};

/// An export in memory that answers some bytes with errors: reads of what begins with 0xEE.
#[derive(Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    information: ExportInformation,
    /// Answers wait here until the test lets them go.
    held: Arc<Mutex<Option<Held>>>,
}

type Held = Vec<Box<dyn FnOnce() + Send>>;

impl Export for Disk {
    type Buffer = Vec<u8>;

    fn information(&self) -> ExportInformation {
        self.information.clone()
    }

    fn buffer(&self, length: usize) -> Vec<u8> {
        vec![0xAA; length]
    }

    fn submit(&self, operation: Operation<Vec<u8>>, reply: Reply<Vec<u8>>) {
        let result = self.perform(operation);
        let mut held = self.held.lock().expect("unpoisoned");
        match &mut *held {
            Some(held) => held.push(Box::new(move || reply(result))),
            None => {
                drop(held);
                reply(result);
            }
        }
    }

    fn perform(&self, operation: Operation<Vec<u8>>) -> Result<Answer<Vec<u8>>, Failure> {
        let mut bytes = self.bytes.lock().expect("unpoisoned");
        let range = |offset: u64, length: usize| offset as usize..offset as usize + length;
        match operation {
            Operation::Read { offset, mut buffer } => {
                let range = range(offset, buffer.len());
                buffer.copy_from_slice(&bytes[range]);
                if buffer.first() == Some(&0xEE) {
                    return Err(Failure::new(ErrorNumber::Io, "a bad place"));
                }
                return Ok(Answer::Data(buffer));
            }
            Operation::Write { offset, data, .. } => bytes[range(offset, data.len())].copy_from_slice(&data),
            Operation::Zero { only_fast: true, may_trim: false, .. } => {
                return Err(Failure::new(ErrorNumber::NotSupported, "not fast"));
            }
            Operation::Zero { offset, length, .. } | Operation::Trim { offset, length, .. } => {
                bytes[range(offset, length as usize)].fill(0);
            }
            Operation::Flush => {}
            Operation::Status { offset, length, limit } => {
                let half = |length: u64, flags| StatusExtent { length: length as u32, flags };
                let all = [half(length / 2, 0), half(length - length / 2, STATE_HOLE | STATE_ZERO)];
                assert_eq!(offset % 512, 0);
                return Ok(Answer::Status(all[..limit.min(2)].to_vec()));
            }
        }
        Ok(Answer::Done)
    }
}

struct Disks(Disk);

impl Exports for Disks {
    type Export = Disk;

    fn names(&self) -> Vec<String> {
        vec!["disk".to_owned(), "läufer".to_owned()]
    }

    fn describe(&self, name: &str) -> Result<ExportInformation, OpenError> {
        self.open(name).map(|disk| disk.information())
    }

    fn open(&self, name: &str) -> Result<Disk, OpenError> {
        match name {
            "disk" | "läufer" => Ok(self.0.clone()),
            "secret" => Err(OpenError::new(OpenErrorKind::Denied, "revoked: not any more")),
            _ => Err(OpenError::new(OpenErrorKind::Unknown, "no such export")),
        }
    }
}

fn disk(size: usize) -> Disk {
    Disk {
        bytes: Arc::new(Mutex::new(vec![0; size])),
        information: ExportInformation { minimum_block: 512, ..ExportInformation::new(size as u64) },
        held: Arc::default(),
    }
}

/// A raw client, and the thread that serves it.
struct Raw {
    stream: UnixStream,
    server: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Raw {
    fn new(disk: &Disk) -> Self {
        Self::with_limits(disk, Limits::default())
    }

    fn with_limits(disk: &Disk, limits: Limits) -> Self {
        let (stream, other) = UnixStream::pair().expect("a pair");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let disks = Disks(disk.clone());
        let server = std::thread::spawn(move || serve(&Arc::new(other), &disks, &limits));
        Self { stream, server: Some(server) }
    }

    fn send(&mut self, hexadecimal: &str) {
        self.stream.write_all(&bytes(hexadecimal)).expect("sent");
    }

    #[track_caller]
    fn expect(&mut self, hexadecimal: &str) {
        let expected = bytes(hexadecimal);
        let mut received = vec![0; expected.len()];
        self.stream.read_exact(&mut received).expect("received");
        assert_eq!(hex(&received), hex(&expected));
    }

    /// The other side closes, having sent nothing more.
    #[track_caller]
    fn expect_end(mut self) -> std::io::Result<()> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("received");
        assert_eq!(hex(&rest), "");
        self.server.take().expect("running").join().expect("no panic")
    }

    /// Past the handshake, with structured replies and base:allocation where wanted.
    fn transmission(disk: &Disk, structured: bool) -> Self {
        let mut raw = Self::new(disk);
        raw.greet();
        if structured {
            raw.send("IHAVEOPT 00000008 00000000");
            raw.expect("0003e889045565a9 00000008 00000001 00000000");
            raw.send("IHAVEOPT 0000000a 0000001f 00000004 'disk' 00000001 0000000f 'base:allocation'");
            raw.expect("0003e889045565a9 0000000a 00000004 00000013 00000001 'base:allocation'");
            raw.expect("0003e889045565a9 0000000a 00000001 00000000");
        }
        raw.send("IHAVEOPT 00000001 00000004 'disk'");
        raw.expect("0000000000010000");
        raw.expect(if structured { "0ded" } else { "0d6d" });
        raw
    }

    fn greet(&mut self) {
        self.expect("'NBDMAGIC' IHAVEOPT 0003");
        self.send("00000003");
    }
}

/// Hexadecimal digits, blanks between, texts in quotes, and one word that is used often.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in text.replace("IHAVEOPT", "'IHAVEOPT'").split('\'').enumerate() {
        if index % 2 == 1 {
            bytes.extend(part.as_bytes());
            continue;
        }
        let digits: Vec<u8> = part.bytes().filter(u8::is_ascii_hexdigit).collect();
        for pair in digits.chunks(2) {
            bytes.push(u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("digits"));
        }
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn options_are_answered() {
    let mut raw = Raw::new(&disk(65_536));
    raw.greet();
    raw.send("IHAVEOPT 00000003 00000000");
    raw.expect("0003e889045565a9 00000003 00000002 00000008 00000004 'disk'");
    raw.expect("0003e889045565a9 00000003 00000002 0000000b 00000007 'läufer'");
    raw.expect("0003e889045565a9 00000003 00000001 00000000");
    // Unknown ones, TLS among them, with and without data.
    for option in ["00000004", "00000005", "0000000b", "ffffffff"] {
        raw.send(&format!("IHAVEOPT {option} 00000003 010203"));
        raw.expect(&format!("0003e889045565a9 {option} 80000001 0000001b 'the option is not supported'"));
    }
    raw.send("IHAVEOPT 00000006 00000008 00000002 'no' 0000");
    raw.expect("0003e889045565a9 00000006 80000006 0000000e 'no such export'");
    raw.send("IHAVEOPT 00000007 0000000c 00000006 'secret' 0000");
    raw.expect("0003e889045565a9 00000007 80000002 00000015 'revoked: not any more'");
    raw.send("IHAVEOPT 00000006 0000000c 00000004 'disk' 0001 0001");
    raw.expect("0003e889045565a9 00000006 00000003 0000000c 0000 0000000000010000 0d6d");
    raw.expect("0003e889045565a9 00000006 00000003 0000000e 0003 00000200 00001000 02000000");
    raw.expect("0003e889045565a9 00000006 00000003 00000006 0001 'disk'");
    raw.expect("0003e889045565a9 00000006 00000001 00000000");
    // Malformed: a name that is longer than the data, a count beyond them, data behind them, no text.
    for data in [
        "00000006 000000ff 'di'",
        "00000006 00000000 0001",
        "00000007 00000000 0000 01",
        "00000006 00000001 ff 0000",
    ] {
        let data = bytes(data);
        raw.stream.write_all(&bytes("IHAVEOPT 00000006")).expect("sent");
        raw.stream.write_all(&(data.len() as u32 - 4).to_be_bytes()).expect("sent");
        raw.stream.write_all(&data[4..]).expect("sent");
        raw.expect("0003e889045565a9 00000006 80000003 0000001e");
        let mut text = [0; 30];
        raw.stream.read_exact(&mut text).expect("received");
        assert_eq!(&text, b"the option's data is malformed");
    }
}

#[test]
fn contexts_need_structured_replies_and_a_known_export() {
    let mut raw = Raw::new(&disk(65_536));
    raw.greet();
    raw.send("IHAVEOPT 0000000a 0000000c 00000004 'disk' 00000000");
    raw.expect("0003e889045565a9 0000000a 80000003 0000001d 'structured replies come first'");
    raw.send("IHAVEOPT 00000008 00000001 00");
    raw.expect("0003e889045565a9 00000008 80000003 00000014 'data is not expected'");
    raw.send("IHAVEOPT 00000008 00000000");
    raw.expect("0003e889045565a9 00000008 00000001 00000000");
    raw.send("IHAVEOPT 0000000a 0000000a 00000002 'no' 00000000");
    raw.expect("0003e889045565a9 0000000a 80000006 0000000e 'no such export'");
    // Everything, a wildcard, one of another name space, one that is selected.
    raw.send("IHAVEOPT 00000009 0000000c 00000004 'disk' 00000000");
    raw.expect("0003e889045565a9 00000009 00000004 00000013 00000000 'base:allocation'");
    raw.expect("0003e889045565a9 00000009 00000001 00000000");
    raw.send("IHAVEOPT 00000009 00000015 00000004 'disk' 00000001 00000005 'base:'");
    raw.expect("0003e889045565a9 00000009 00000004 00000013 00000000 'base:allocation'");
    raw.expect("0003e889045565a9 00000009 00000001 00000000");
    raw.send("IHAVEOPT 0000000a 00000015 00000004 'disk' 00000001 00000005 'base:'");
    raw.expect("0003e889045565a9 0000000a 00000001 00000000");
    raw.send("IHAVEOPT 0000000a 00000016 00000004 'disk' 00000001 00000006 'qemu:x'");
    raw.expect("0003e889045565a9 0000000a 00000001 00000000");
    raw.send("IHAVEOPT 00000002 00000000");
    raw.expect("0003e889045565a9 00000002 00000001 00000000");
    raw.expect_end().expect("as the client wished");
}

#[test]
fn nonsense_in_the_handshake_ends_it() {
    for (first, rest) in [
        ("000000ff", ""),
        ("00000003", "'NOTMAGIC' 00000003 00000000"),
        ("00000001", "IHAVEOPT 00000001 00000002 'no'"),
        ("00000001", "IHAVEOPT 00000001 00000002 ff00"),
    ] {
        let mut raw = Raw::new(&disk(65_536));
        raw.expect("'NBDMAGIC' IHAVEOPT 0003");
        raw.send(first);
        raw.send(rest);
        raw.expect_end().expect("an end");
    }
    let mut raw = Raw::new(&disk(65_536));
    raw.greet();
    raw.send("IHAVEOPT 00000003 ffffffff");
    raw.expect("0003e889045565a9 00000003 80000009 00000016 'the option is too long'");
    raw.expect_end().expect("an end");
    let mut raw = Raw::new(&disk(65_536));
    raw.greet();
    for _ in 0..129 {
        raw.send("IHAVEOPT 00000063 00000000");
    }
    for _ in 0..128 {
        raw.expect("0003e889045565a9 00000063 80000001 0000001b 'the option is not supported'");
    }
    raw.expect_end().expect("an end");
}

#[test]
fn the_old_way_in_sends_zeros_where_they_are_wanted() {
    let mut raw = Raw::new(&disk(65_536));
    raw.expect("'NBDMAGIC' IHAVEOPT 0003");
    raw.send("00000001 IHAVEOPT 00000001 00000004 'disk'");
    raw.expect(&format!("0000000000010000 0d6d {}", "00".repeat(124)));
    raw.send("25609513 0000 0002 0000000000000000 0000000000000000 00000000");
    raw.expect_end().expect("as the client wished");
}

#[test]
fn simple_replies() {
    let disk = disk(65_536);
    let mut raw = Raw::transmission(&disk, false);
    raw.send(&format!("25609513 0001 0001 0000000000000007 0000000000000200 00000200 {}", "5a".repeat(512)));
    raw.expect("67446698 00000000 0000000000000007");
    raw.send("25609513 0000 0000 0000000000000008 0000000000000200 00000200");
    raw.expect(&format!("67446698 00000000 0000000000000008 {}", "5a".repeat(512)));
    for (request, error) in [
        // flags, command, offset, length: unknown command, unknown flags, range, alignment, flush with a range
        ("0000 00ff 0000000000000000 00000000", "00000016"),
        ("0004 0001 0000000000000000 00000000", "00000016"),
        ("8000 0000 0000000000000000 00000200", "00000016"),
        ("0000 0000 0000000000010000 00000200", "00000016"),
        ("0000 0000 ffffffffffffff00 00000200", "00000016"),
        ("0000 0000 0000000000000001 00000200", "00000016"),
        ("0000 0000 0000000000000000 00000001", "00000016"),
        ("0000 0000 0000000000000000 02000200", "00000016"),
        ("0000 0006 0000000000010000 00000200", "0000001c"),
        ("0000 0004 0000000000010000 00000200", "00000016"),
        ("0000 0003 0000000000000000 00000200", "00000016"),
        ("0012 0006 0000000000000000 00000200", "0000005f"),
        ("0000 0007 0000000000000000 00000200", "00000016"),
        ("0000 0005 0000000000000000 00000200", "00000000"),
        ("0000 0003 0000000000000000 00000000", "00000000"),
        ("0001 0004 0000000000000200 00000200", "00000000"),
        ("0003 0006 0000000000000200 00000200", "00000000"),
        ("0000 0000 0000000000000000 00000000", "00000000"),
    ] {
        let fields: Vec<&str> = request.split(' ').collect();
        let [flags, command, offset, length] = fields[..] else { panic!("four fields") };
        raw.send(&format!("25609513 {flags} {command} 0102030405060708 {offset} {length}"));
        raw.expect(&format!("67446698 {error} 0102030405060708"));
    }
    // The payload of a refused write is skipped.
    raw.send(&format!("25609513 0000 0001 0000000000000009 0000000000010000 00000200 {}", "25".repeat(512)));
    raw.expect("67446698 0000001c 0000000000000009");
    raw.send("25609513 0000 0002 0000000000000000 0000000000000000 00000000");
    raw.expect_end().expect("as the client wished");
    assert!(disk.bytes.lock().expect("unpoisoned").iter().all(|byte| *byte == 0));
}

#[test]
fn structured_replies() {
    let disk = disk(65_536);
    disk.bytes.lock().expect("unpoisoned")[..512].fill(0x5a);
    disk.bytes.lock().expect("unpoisoned")[1_024] = 0xEE;
    let mut raw = Raw::transmission(&disk, true);
    raw.send("25609513 0000 0000 0000000000000001 0000000000000000 00000200");
    raw.expect("668e33ef 0001 0001 0000000000000001 00000208 0000000000000000");
    raw.expect(&"5a".repeat(512));
    // Zeros are a hole, unless the client wants one piece.
    raw.send("25609513 0000 0000 0000000000000002 0000000000001000 00001000");
    raw.expect("668e33ef 0001 0002 0000000000000002 0000000c 0000000000001000 00001000");
    raw.send("25609513 0004 0000 0000000000000003 0000000000001000 00001000");
    raw.expect("668e33ef 0001 0001 0000000000000003 00001008 0000000000001000");
    raw.expect(&"00".repeat(4_096));
    raw.send("25609513 0000 0000 0000000000000004 0000000000000400 00000200");
    raw.expect("668e33ef 0001 8001 0000000000000004 00000011 00000005 000b 'a bad place'");
    raw.send("25609513 0000 0000 0000000000000004 0000000000000000 02000200");
    raw.expect("668e33ef 0001 8001 0000000000000004 0000001d 0000004b 0017 'the request is too long'");
    raw.send("25609513 0000 0007 0000000000000005 0000000000000000 00000400");
    raw.expect("668e33ef 0001 0005 0000000000000005 00000014 00000001 00000200 00000000 00000200 00000003");
    raw.send("25609513 0008 0007 0000000000000006 0000000000000000 00000400");
    raw.expect("668e33ef 0001 0005 0000000000000006 0000000c 00000001 00000200 00000000");
    raw.send("25609513 0000 0000 0000000000000007 0000000000000000 00000000");
    raw.expect("668e33ef 0001 0000 0000000000000007 00000000");
    raw.send("25609513 0000 0003 0000000000000008 0000000000000000 00000000");
    raw.expect("67446698 00000000 0000000000000008");
    raw.send("00000000 0000 0002 0000000000000000 0000000000000000 00000000");
    assert_eq!(raw.expect_end().expect_err("no request").kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_read_only_export_takes_no_writes() {
    let mut disk = disk(65_536);
    disk.information.read_only = true;
    let mut raw = Raw::new(&disk);
    raw.greet();
    raw.send("IHAVEOPT 00000001 00000004 'disk'");
    raw.expect("0000000000010000 050f");
    for command in ["0001", "0004", "0006"] {
        raw.send(&format!("25609513 0000 {command} 0000000000000001 0000000000000000 00000200"));
        if command == "0001" {
            raw.send(&"00".repeat(512));
        }
        raw.expect("67446698 00000001 0000000000000001");
    }
}

#[test]
fn a_payload_beyond_the_limit_ends_the_connection() {
    let mut raw = Raw::transmission(&disk(65_536), false);
    raw.send("25609513 0000 0001 0000000000000001 0000000000000000 ffffffff");
    raw.expect("67446698 00000016 0000000000000001");
    assert!(raw.expect_end().is_err());
}

/// Answers come as they are ready, a disconnect waits for all of them, and a client beyond its budget waits in its socket.
#[test]
fn answers_come_in_any_order_and_the_budget_holds() {
    let disk = disk(65_536);
    *disk.held.lock().expect("unpoisoned") = Some(Vec::new());
    let limits = Limits { requests: 4, ..Limits::default() };
    let mut raw = Raw::with_limits(&disk, limits);
    raw.greet();
    raw.send("IHAVEOPT 00000001 00000004 'disk'");
    raw.expect("0000000000010000 0d6d");
    for cookie in 1..=6 {
        raw.send(&format!("25609513 0000 0003 000000000000000{cookie} 0000000000000000 00000000"));
    }
    raw.send("25609513 0000 0002 0000000000000000 0000000000000000 00000000");
    let held = |count: usize| {
        let reached = || disk.held.lock().expect("unpoisoned").as_ref().map_or(0, Vec::len) == count;
        while !reached() {
            std::thread::yield_now();
        }
    };
    let answer = |index: usize| {
        let answer = disk.held.lock().expect("unpoisoned").as_mut().expect("held").remove(index);
        answer();
    };
    held(4);
    answer(2);
    raw.expect("67446698 00000000 0000000000000003");
    held(4);
    answer(3);
    raw.expect("67446698 00000000 0000000000000005");
    held(4);
    for cookie in [1, 2, 4, 6] {
        answer(0);
        raw.expect(&format!("67446698 00000000 000000000000000{cookie}"));
    }
    raw.expect_end().expect("as the client wished");
}

/// A client that asks for much and takes nothing costs no more than its budget, and is served when it takes.
#[test]
fn a_client_that_takes_no_answers_waits() {
    let disk = disk(1 << 20);
    disk.bytes.lock().expect("unpoisoned").fill(7);
    let limits = Limits { bytes: 4 << 20, ..Limits::default() };
    let mut raw = Raw::with_limits(&disk, limits);
    raw.greet();
    raw.send("IHAVEOPT 00000001 00000004 'disk'");
    raw.expect("0000000000100000 0d6d");
    for cookie in 0..64_u8 {
        raw.send(&format!("25609513 0000 0000 00000000000000{cookie:02x} 0000000000000000 00100000"));
    }
    let mut data = vec![0; 1 << 20];
    for cookie in 0..64_u8 {
        raw.expect(&format!("67446698 00000000 00000000000000{cookie:02x}"));
        raw.stream.read_exact(&mut data).expect("received");
        assert!(data.iter().all(|byte| *byte == 7));
    }
    drop(raw.stream);
    raw.server.expect("running").join().expect("no panic").expect("the end");
}

fn socket(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("varan-nbd-{}-{name}", std::process::id()))
}

#[test]
fn a_client_and_a_server_understand_each_other() {
    let path = socket("pair");
    let disk = disk(1 << 20);
    let server =
        Server::start(listen(&path).expect("bound"), Arc::new(Disks(disk.clone())), Limits::default());
    let server = server.expect("started");
    let connect = |name: &str| {
        let stream = UnixStream::connect(&path).expect("connected");
        Client::<_, Vec<u8>>::connect(stream, name, Duration::from_secs(20))
    };
    let Err(ConnectError::Refused { kind: OpenErrorKind::Denied, message }) = connect("secret") else {
        panic!("it is denied");
    };
    assert_eq!(message, "revoked: not any more");
    let client = connect("disk").expect("connected");
    assert_eq!((client.information().size, client.information().minimum_block), (1 << 20, 512));
    let ask = |operation: Operation<Vec<u8>>| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let reply: Reply<Vec<u8>> = Box::new(move |result| sender.send(result).expect("waited for"));
        assert!(client.submit(operation, reply).is_ok(), "room");
        receiver
    };
    let writes: Vec<_> = (0..200_u64)
        .map(|number| {
            let data = vec![number as u8 + 1; 4_096];
            ask(Operation::Write { offset: number * 4_096, data, durable: number % 3 == 0 })
        })
        .collect();
    assert!(writes.into_iter().all(|write| matches!(write.recv(), Ok(Ok(Answer::Done)))));
    // Data, a long hole, and nothing but data again.
    let read = ask(Operation::Read { offset: 0, buffer: vec![1; 1 << 20] }).recv().expect("answered");
    let Ok(Answer::Data(data)) = read else { panic!("{read:?}") };
    assert_eq!(data, *disk.bytes.lock().expect("unpoisoned"));
    let status = ask(Operation::Status { offset: 0, length: 1_024, limit: 8 }).recv().expect("answered");
    assert!(matches!(status, Ok(Answer::Status(extents)) if extents.len() == 2));
    let zero = Operation::Zero { offset: 0, length: 512, may_trim: false, only_fast: true, durable: false };
    let failure = ask(zero).recv().expect("answered").expect_err("refused");
    assert_eq!((failure.number, &*failure.message), (ErrorNumber::NotSupported, "not fast"));
    // What is under way when the server goes is told.
    *disk.held.lock().expect("unpoisoned") = Some(Vec::new());
    let pending = ask(Operation::Flush);
    server.disconnect_all();
    assert_eq!(pending.recv().expect("answered").expect_err("lost").number, ErrorNumber::Shutdown);
    let after = ask(Operation::Flush).recv().expect("answered");
    assert_eq!(after.expect_err("lost").number, ErrorNumber::Shutdown);
    assert!(client.is_lost());
    for answer in disk.held.lock().expect("unpoisoned").take().expect("held") {
        answer();
    }
    drop(client);
    assert_eq!(connect("läufer").expect("again").information().size, 1 << 20);
    drop(server);
    assert!(UnixStream::connect(&path).is_err());
    drop(listen(&path).expect("a socket that nobody serves is replaced"));
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn the_corpus_breaks_nothing() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/nbd-corpus");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).expect("corpus") {
        let data = std::fs::read(entry.expect("entry").path()).expect("read");
        // As it is, in several pieces, and cut off anywhere.
        for piece in [data[0], 1, 7, 255] {
            let data = [&[piece], &data[1..]].concat();
            varan_nbd::fuzz_one(&data);
            for end in 0..data.len().min(400) {
                varan_nbd::fuzz_one(&data[..end]);
            }
        }
        count += 1;
    }
    assert!(count >= 12, "{count} files");
}

/// The corpus with bytes changed, doubled, dropped and put together, in an order that comes from a seed.
#[test]
fn what_is_near_the_corpus_breaks_nothing() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/nbd-corpus");
    let mut files: Vec<_> =
        std::fs::read_dir(corpus).expect("corpus").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    let files: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).expect("read")).collect();
    let rounds = if std::env::var_os("VARAN_SOAK").is_some() { 400_000 } else { 4_000 };
    for seed in 0..rounds {
        let mut state = seed;
        let mut random = |below: usize| {
            // The generator of Numerical Recipes; its upper half is random enough to break parsers.
            state = u64::wrapping_add(
                u64::wrapping_mul(state, 6_364_136_223_846_793_005),
                1_442_695_040_888_963_407,
            );
            (state >> 33) as usize % below
        };
        let mut data = files[random(files.len())].clone();
        for _ in 0..=random(4) {
            let at = random(data.len());
            match random(5) {
                0 => data[at] = random(256) as u8,
                1 => data[at] ^= 1 << random(8),
                2 => data.truncate(at.max(1)),
                3 => {
                    let other = &files[random(files.len())];
                    data.extend(&other[random(other.len())..]);
                }
                _ => {
                    let end = (at + random(40)).min(data.len());
                    data.extend_from_within(at..end);
                }
            }
        }
        let result = std::panic::catch_unwind(|| varan_nbd::fuzz_one(&data));
        assert!(result.is_ok(), "seed {seed}: {}", hex(&data));
    }
}
