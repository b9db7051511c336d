//! Disks, logical volumes and drives of a server as files in `/dev`.

use std::io;
use std::sync::Arc;

use varan_contract::vios::{
    DeviceQuery, DeviceSelector, RequestId, ViosAnswer, ViosCallError, ViosChange, ViosLink, ViosQuery,
};
use varan_environment::Environment;
use varan_model::vios::{DeviceClass, DeviceState, MediaAccess, ViosMessage};
use varan_shell::{FileError, FileKind};

use super::files::{DeviceFile, Devices};

/// Bytes that one request reads or writes.
const REQUEST_BYTES: usize = 1 << 20;

/// The devices of a server behind its link.
pub(super) struct LinkDevices {
    link: Arc<dyn ViosLink>,
    environment: Arc<dyn Environment>,
}

impl LinkDevices {
    pub(super) fn new(link: Arc<dyn ViosLink>, environment: Arc<dyn Environment>) -> Self {
        Self { link, environment }
    }

    fn logical_volumes(&self) -> Vec<String> {
        match self.link.ask(ViosQuery::VolumeGroups(None)) {
            Ok(ViosAnswer::VolumeGroups(groups)) => {
                groups.into_iter().flat_map(|group| group.logical_volumes).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Whether a device of this class is a file, and which.
fn kind(class: DeviceClass) -> Option<FileKind> {
    match class {
        DeviceClass::Disk | DeviceClass::Optical => Some(FileKind::BlockDevice),
        DeviceClass::Adapter | DeviceClass::Terminal | DeviceClass::Driver => Some(FileKind::Device),
        _ => None,
    }
}

impl Devices for LinkDevices {
    fn is_read_only(&self, medium: &str) -> bool {
        match self.link.ask(ViosQuery::Repository) {
            Ok(ViosAnswer::Repository(repository)) => {
                repository.media.iter().any(|one| one.name == medium && one.access == MediaAccess::ReadOnly)
            }
            _ => false,
        }
    }

    fn media_changed(&self) {
        let random = || u128::from(self.environment.random());
        // A server that cannot look now looks when it starts.
        let _ = self.link.change(RequestId(random() << 64 | random()), ViosChange::RescanRepository);
    }

    fn list(&self) -> Vec<(String, FileKind)> {
        let Ok(ViosAnswer::Devices(devices)) = self.link.ask(ViosQuery::Devices(DeviceQuery::All)) else {
            return Vec::new();
        };
        let available = devices.iter().filter(|device| device.state == DeviceState::Available);
        let files =
            available.filter_map(|device| Some((device.name.to_string(), kind(device.kind.class())?)));
        let volumes = self.logical_volumes().into_iter().map(|name| (name, FileKind::BlockDevice));
        files.chain(volumes).collect()
    }

    fn open(&self, name: &str, _: bool) -> Result<Arc<dyn DeviceFile>, FileError> {
        let found = self.list().into_iter().find(|(known, _)| known == name);
        match found {
            Some((_, FileKind::BlockDevice)) => {}
            Some(_) => return Err(FileError::Other("A device is not ready.".to_owned())),
            None => return Err(FileError::NotFound),
        }
        let file = LinkDevice {
            link: self.link.clone(),
            environment: self.environment.clone(),
            device: DeviceSelector::Name(name.to_owned()),
        };
        // A device that cannot be read says so when it is opened, not at the first block.
        file.ask(0, 0).map_err(|error| refused(&error))?;
        Ok(Arc::new(file))
    }
}

fn refused(error: &ViosCallError) -> FileError {
    match error {
        ViosCallError::Refused(refusal) => match refusal.message {
            ViosMessage::ReservationConflict | ViosMessage::DeviceBusy => FileError::Busy,
            _ => FileError::InputOutput,
        },
        _ => FileError::InputOutput,
    }
}

struct LinkDevice {
    link: Arc<dyn ViosLink>,
    environment: Arc<dyn Environment>,
    device: DeviceSelector,
}

impl LinkDevice {
    fn ask(&self, offset: u64, length: u32) -> Result<Vec<u8>, ViosCallError> {
        match self.link.ask(ViosQuery::Bytes { device: self.device.clone(), offset, length })? {
            ViosAnswer::Bytes(bytes) => Ok(bytes),
            _ => Err(ViosCallError::NoAnswer),
        }
    }
}

impl DeviceFile for LinkDevice {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(REQUEST_BYTES);
        let bytes = self.ask(offset, u32::try_from(wanted).unwrap_or(u32::MAX)).map_err(io::Error::other)?;
        let count = bytes.len().min(wanted);
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(REQUEST_BYTES);
        let change =
            ViosChange::WriteBytes { device: self.device.clone(), offset, data: bytes[..count].to_vec() };
        let random = || u128::from(self.environment.random());
        let id = RequestId(random() << 64 | random());
        self.link.change(id, change).map_err(io::Error::other)?;
        Ok(count)
    }

    fn flush(&self) -> io::Result<()> {
        // The server answers a write when it is on the disk.
        Ok(())
    }
}
