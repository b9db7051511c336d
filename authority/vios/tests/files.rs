//! Media, pools and backing files, and crashes between any two steps.

#![allow(missing_docs)]

mod support;

use support::{GIB, Server, TestArray, client, name, nexus};
use varan_contract::storage::{ServedKind, StorageServer};
use varan_contract::vios::{
    BackingRequest, BackingSelector, MediumSource, ViosAnswer, ViosChange, ViosLink, ViosQuery,
};
use varan_model::ids::VirtualSlot;
use varan_model::vios::{MediaAccess, Repository, ViosMessage};

fn repository(server: &Server) -> Repository {
    match server.ask(ViosQuery::Repository) {
        ViosAnswer::Repository(repository) => repository,
        other => panic!("{other:?}"),
    }
}

fn blank(name: &str, access: MediaAccess) -> ViosChange {
    ViosChange::CreateMedium { name: name.into(), source: MediumSource::Blank(10), access }
}

fn load(medium: &str, drive: &str, force: bool) -> ViosChange {
    ViosChange::Load { medium: medium.into(), drive: drive.into(), force, release: false }
}

#[test]
fn media_are_files_and_follow_the_rules_of_drives() {
    let array = TestArray::new(0, GIB);
    let mut server = Server::running(1, &array);
    assert_eq!(server.refused(blank("a", MediaAccess::ReadOnly)), ViosMessage::NoRepository);
    let create = || ViosChange::CreateRepository { pool: None, megabytes: 200 };
    server.done(create());
    assert_eq!(server.refused(create()), ViosMessage::RepositoryExists);
    assert_eq!(
        repository(&server).megabytes,
        253,
        "one partition of 256 MB without what the file system takes"
    );
    for drive in ["vhost0", "vhost1"] {
        server.done(ViosChange::MapOptical { adapter: name(drive), target: None });
    }
    server.done(blank("ro", MediaAccess::ReadOnly));
    server.done(blank("rw", MediaAccess::ReadWrite));
    assert_eq!(server.refused(blank("rw", MediaAccess::ReadWrite)), ViosMessage::MediumExists);
    assert_eq!(server.refused(blank("../x", MediaAccess::ReadWrite)), ViosMessage::MediumNameInvalid);
    assert_eq!(
        server.refused(blank(&"n".repeat(38), MediaAccess::ReadWrite)),
        ViosMessage::MediumNameInvalid
    );
    let huge = ViosChange::CreateMedium {
        name: "huge".into(),
        source: MediumSource::Blank(234),
        access: MediaAccess::ReadOnly,
    };
    assert_eq!(server.refused(huge), ViosMessage::RepositoryFull);
    let library = server.get().root_directory().join("var/vio/VMLibrary");
    assert_eq!(std::fs::metadata(library.join("ro")).expect("file").len(), 10 << 20);
    assert!(!library.join("huge").exists());
    for drive in ["vtopt0", "vtopt1"] {
        server.done(load("ro", drive, false));
    }
    assert_eq!(server.refused(load("rw", "vtopt0", false)), ViosMessage::DriveLoaded);
    server.done(load("rw", "vtopt0", true));
    assert_eq!(server.refused(load("rw", "vtopt1", true)), ViosMessage::MediumLoaded);
    let slot = VirtualSlot(40);
    server.get().connect_scsi(slot, &client(3, 2)).expect("connects");
    let unit = &server.get().served_units(slot).expect("serves")[0];
    assert_eq!((unit.kind, unit.bytes), (ServedKind::Optical, 10 << 20));
    let drive = server.get().open_unit(slot, unit.lun, &nexus(3, "vios1:vhost0", 1)).expect("opens");
    let unload = |release| ViosChange::Unload { drive: "vtopt0".into(), release };
    assert_eq!(server.refused(unload(false)), ViosMessage::DriveHeld);
    server.done(unload(true));
    assert!(drive.read_at(0, 512).is_err(), "the medium is out");
    assert_eq!(server.refused(unload(false)), ViosMessage::DriveEmpty);
    let remove = |force| ViosChange::RemoveMedium { name: "ro".into(), force };
    assert_eq!(server.refused(remove(false)), ViosMessage::MediumLoaded);
    server.done(remove(true));
    assert!(!library.join("ro").exists());
    // Root copies a file there, and removes one.
    std::fs::write(library.join("cd_image_19267708"), vec![1; 3 << 20]).expect("written");
    std::fs::remove_file(library.join("rw")).expect("removed");
    server.done(ViosChange::RescanRepository);
    let media: Vec<(String, u64)> =
        repository(&server).media.iter().map(|medium| (medium.name.clone(), medium.megabytes())).collect();
    assert_eq!(media, [("cd_image_19267708".to_owned(), 3)]);
    assert_eq!(
        server.refused(ViosChange::RemoveRepository { force: false }),
        ViosMessage::RepositoryNotEmpty
    );
    server.done(ViosChange::RemoveRepository { force: true });
    assert!(!library.join("cd_image_19267708").exists());
    assert!(server.get().ask(ViosQuery::Repository).is_err());
}

#[test]
fn an_uploaded_file_becomes_a_medium_and_a_refused_one_stays() {
    let array = TestArray::new(0, GIB);
    let mut server = Server::running(1, &array);
    server.done(ViosChange::CreateRepository { pool: None, megabytes: 200 });
    let upload = server.get().upload_directory().join("image");
    std::fs::write(&upload, vec![9; 5_000]).expect("written");
    let create = |name: &str, file: &str| ViosChange::CreateMedium {
        name: name.into(),
        source: MediumSource::Upload(file.into()),
        access: MediaAccess::ReadOnly,
    };
    assert_eq!(server.refused(create("x", "../vios.db")), ViosMessage::FileUnreadable);
    assert_eq!(server.refused(create("x/y", "image")), ViosMessage::MediumNameInvalid);
    assert!(upload.exists());
    server.done(create("aix.iso", "image"));
    assert!(!upload.exists());
    let file = server.get().root_directory().join("var/vio/VMLibrary/aix.iso");
    let bytes = std::fs::read(file).expect("file");
    assert_eq!((bytes.len(), bytes[4_999], bytes[5_000]), (5_120, 9, 0), "padded to a block");
    let rename = ViosChange::ChangeMedium {
        name: "aix.iso".into(),
        access: Some(MediaAccess::ReadWrite),
        new_name: Some("aix72.iso".into()),
    };
    server.done(rename);
    server.reopen();
    assert_eq!(repository(&server).media[0].name, "aix72.iso");
    assert!(server.get().root_directory().join("var/vio/VMLibrary/aix72.iso").exists());
}

fn backing(megabytes: Option<u64>, adapter: Option<&str>) -> ViosChange {
    ViosChange::CreateBackingDevice(BackingRequest {
        pool: Some("clients".into()),
        name: Some("dbsrv".into()),
        megabytes,
        adapter: adapter.map(name),
        target: None,
    })
}

#[test]
fn files_of_a_pool_back_targets_and_nothing_of_others_is_touched() {
    let array = TestArray::new(0, GIB);
    let mut server = Server::running(1, &array);
    let pool = ViosChange::CreateFilePool { name: "clients".into(), parent: None, megabytes: 1_024 };
    server.done(pool.clone());
    assert_eq!(server.refused(pool), ViosMessage::PoolExists);
    let place = server.get().root_directory().join("var/vio/storagepools/clients/dbsrv");
    std::fs::create_dir_all(place.parent().expect("parent")).expect("made");
    std::fs::write(&place, b"mine").expect("written");
    assert_eq!(server.refused(backing(Some(100), None)), ViosMessage::BackingExists);
    assert_eq!(std::fs::read(&place).expect("still there"), b"mine");
    std::fs::remove_file(&place).expect("removed");
    assert_eq!(server.refused(backing(None, Some("vhost0"))), ViosMessage::BackingNotInPool);
    assert_eq!(server.refused(backing(Some(2_000), None)), ViosMessage::NoSpace);
    let done = server.done(backing(Some(100), Some("vhost0")));
    assert_eq!((done.name.as_deref(), done.devices.len()), (Some("dbsrv"), 1));
    server.done(ViosChange::GrowBackingDevice {
        pool: Some("clients".into()),
        name: "dbsrv".into(),
        megabytes: 50,
    });
    assert_eq!(std::fs::metadata(&place).expect("file").len(), 150 << 20);
    let remove = |keep| ViosChange::RemoveBackingDevice {
        pool: Some("clients".into()),
        device: BackingSelector::Name("dbsrv".into()),
        keep,
    };
    server.done(remove(true));
    assert!(place.exists());
    server.done(remove(false));
    assert!(!place.exists());
    server.done(ViosChange::RemovePool { name: "clients".into(), force: false });
    assert_eq!(
        server.refused(ViosChange::RemovePool { name: "rootvg".into(), force: true }),
        ViosMessage::DeviceRequired
    );
}

#[test]
fn a_crash_at_any_step_leaves_files_and_state_together() {
    let array = TestArray::new(0, GIB);
    let mut server = Server::running(1, &array);
    server.done(ViosChange::CreateFilePool { name: "clients".into(), parent: None, megabytes: 1_024 });
    server.done(backing(Some(100), None));
    let directory = server.directory.0.join("vios");
    let place = directory.join("root/var/vio/storagepools/clients/dbsrv");
    // Before the record: a staged file that nothing names.
    server.vios = None;
    std::fs::write(directory.join("staging/0123"), b"half").expect("written");
    // After the record of a growth that was undone, and of a file that was not moved to its place.
    std::fs::OpenOptions::new().write(true).open(&place).expect("file").set_len(200 << 20).expect("longer");
    server.reopen();
    assert!(!directory.join("staging/0123").exists());
    assert_eq!(std::fs::metadata(&place).expect("file").len(), 100 << 20);
    // A file is recorded, and its move did not come about.
    server.vios = None;
    let database = rusqlite::Connection::open(directory.join("vios.db")).expect("opens");
    let row = r#"{"pool":"clients","name":"dbsrv","megabytes":100,"staged":"77"}"#;
    database.execute("UPDATE row SET content = ?1 WHERE kind = 'file'", [row]).expect("updated");
    drop(database);
    std::fs::rename(&place, directory.join("staging/77")).expect("moved back");
    server.reopen();
    assert_eq!(std::fs::metadata(&place).expect("file").len(), 100 << 20);
    // A removal is recorded, and a file of somebody else is in the place.
    server.vios = None;
    let database = rusqlite::Connection::open(directory.join("vios.db")).expect("opens");
    let row = r#"{"path":"tmp/notes","inode":1}"#;
    database.execute("INSERT INTO row VALUES ('trash', 'tmp/notes', ?1)", [row]).expect("inserted");
    drop(database);
    std::fs::write(directory.join("root/tmp/notes"), b"mine").expect("written");
    server.reopen();
    assert!(directory.join("root/tmp/notes").exists());
}
