//! ISO images: read as a file tree (`loopmount`), written from one (`mkdvd`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use hadris_iso::read::{IsoImage, PathSeparator};
use hadris_iso::write::options::{CreationFeatures, IsoFormatOptions};
use hadris_iso::write::{InputEntry, InputMetadata, InputTree, IsoImageWriter};
use varan_shell::{FileError, FileKind, FileTree, Metadata, TreePath};

/// Bytes of a sector.
const SECTOR: u64 = 2_048;
/// Entries of one image.
const ENTRIES_MAX: usize = 100_000;
/// Directories below each other.
const DEPTH_MAX: usize = 64;
/// Bytes of files that are written into one image, which is put together in memory.
const CONTENT_MAX: u64 = 1 << 30;

/// A part of an image that holds bytes of a file.
#[derive(Clone, Copy)]
struct Part {
    offset: u64,
    length: u64,
}

enum Entry {
    Directory(Vec<String>),
    File(Vec<Part>),
}

/// An image as a file tree that cannot be written.
pub(super) struct ImageTree {
    file: Arc<File>,
    entries: BTreeMap<TreePath, Entry>,
    modified_seconds: i64,
}

fn broken(reason: impl std::fmt::Display) -> FileError {
    FileError::Other(format!("not an ISO image: {reason}"))
}

impl ImageTree {
    /// Reads the directories of an image.
    ///
    /// # Errors
    /// What is no ISO image, and one with more entries than an image may have here.
    pub(super) fn open(file: File) -> Result<Self, FileError> {
        let metadata = file.metadata().map_err(broken)?;
        let modified_seconds = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(0));
        let reader = file.try_clone().map_err(broken)?;
        let image = IsoImage::open(io::BufReader::new(reader)).map_err(broken)?;
        let mut entries = BTreeMap::new();
        let mut waiting = vec![(TreePath::root(), image.root_dir().dir_ref(), 0)];
        while let Some((path, directory, depth)) = waiting.pop() {
            if depth > DEPTH_MAX {
                return Err(broken("its directories are too deep"));
            }
            let mut names = Vec::new();
            for entry in image.open_dir(directory).entries() {
                let entry = entry.map_err(broken)?;
                if entry.is_special() {
                    continue;
                }
                let name = shown_name(&entry.display_name());
                if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
                    return Err(broken("it has a name that is none"));
                }
                let child = path.join(&name);
                if entry.is_directory() {
                    waiting.push((child, entry.as_dir_ref(&image).map_err(broken)?, depth + 1));
                } else {
                    let parts = entry.extents().map(|extent| Part {
                        offset: extent.sector.0 as u64 * SECTOR,
                        length: u64::from(extent.length),
                    });
                    entries.insert(child, Entry::File(parts.collect()));
                }
                names.push(name);
                if entries.len() + names.len() > ENTRIES_MAX {
                    return Err(broken(format!("it has more than {ENTRIES_MAX} entries")));
                }
            }
            entries.insert(path, Entry::Directory(names));
        }
        Ok(Self { file: Arc::new(file), entries, modified_seconds })
    }
}

/// The name as `cdrfs` shows it: without the version, in small letters where the image has no names of its own.
fn shown_name(name: &str) -> String {
    match name.rsplit_once(';') {
        Some((plain, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
            plain.trim_end_matches('.').to_ascii_lowercase()
        }
        _ => name.to_owned(),
    }
}

/// Reads the parts of a file one after the other.
struct PartsReader {
    file: Arc<File>,
    parts: Vec<Part>,
    position: u64,
}

impl Read for PartsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut before = 0;
        for part in &self.parts {
            if self.position < before + part.length {
                let within = self.position - before;
                let left = usize::try_from(part.length - within).unwrap_or(usize::MAX);
                let wanted = buffer.len().min(left);
                let offset = part.offset + within;
                let count = std::os::unix::fs::FileExt::read_at(&*self.file, &mut buffer[..wanted], offset)?;
                if count == 0 && wanted > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.position += count as u64;
                return Ok(count);
            }
            before += part.length;
        }
        Ok(0)
    }
}

impl FileTree for ImageTree {
    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>, FileError> {
        self.open_at(path, 0)
    }

    fn open_at(&self, path: &TreePath, offset: u64) -> Result<Box<dyn Read + Send>, FileError> {
        match self.entries.get(path) {
            None => Err(FileError::NotFound),
            Some(Entry::Directory(_)) => Err(FileError::IsDirectory),
            Some(Entry::File(parts)) => {
                Ok(Box::new(PartsReader { file: self.file.clone(), parts: parts.clone(), position: offset }))
            }
        }
    }

    fn list(&self, path: &TreePath) -> Result<Vec<String>, FileError> {
        match self.entries.get(path) {
            None => Err(FileError::NotFound),
            Some(Entry::File(_)) => Err(FileError::NotDirectory),
            Some(Entry::Directory(names)) => Ok(names.clone()),
        }
    }

    fn metadata(&self, path: &TreePath) -> Result<Metadata, FileError> {
        let entry = self.entries.get(path).ok_or(FileError::NotFound)?;
        let (kind, size, mode) = match entry {
            Entry::Directory(_) => (FileKind::Directory, SECTOR, 0o555),
            Entry::File(parts) => (FileKind::File, parts.iter().map(|part| part.length).sum(), 0o444),
        };
        Ok(Metadata {
            kind,
            size,
            mode,
            links: 1,
            owner: "root".to_owned(),
            group: "system".to_owned(),
            modified_seconds: self.modified_seconds,
        })
    }
}

/// Collects a directory of a tree for an image.
fn collect(
    files: &dyn FileTree,
    directory: &TreePath,
    depth: usize,
    left: &mut u64,
) -> Result<Vec<InputEntry>, FileError> {
    if depth > DEPTH_MAX {
        return Err(FileError::NameTooLong);
    }
    let mut names = files.list(directory)?;
    names.sort();
    let mut entries = Vec::new();
    for name in names {
        let path = directory.join(&name);
        let metadata = files.metadata(&path)?;
        let attributes =
            InputMetadata { modified: Some(metadata.modified_seconds), ..InputMetadata::default() };
        let entry = match metadata.kind {
            FileKind::Directory => InputEntry::directory(name, collect(files, &path, depth + 1, left)?),
            FileKind::File => {
                let mut content = Vec::new();
                let reader = files.open(&path)?;
                reader.take(*left + 1).read_to_end(&mut content).map_err(|_| FileError::InputOutput)?;
                *left = left.checked_sub(content.len() as u64).ok_or(FileError::NoSpace)?;
                InputEntry::file(name, content)
            }
            _ => continue,
        };
        entries.push(entry.with_metadata(attributes));
    }
    Ok(entries)
}

/// The bytes of an image with Rock Ridge names of everything below a directory.
///
/// # Errors
/// What the tree refuses; `NoSpace` for more than 1 GiB of content.
pub(super) fn image_of(files: &dyn FileTree, directory: &TreePath) -> Result<Vec<u8>, FileError> {
    let mut left = CONTENT_MAX;
    let entries = collect(files, directory, 0, &mut left)?;
    let tree = InputTree::new(PathSeparator::ForwardSlash, entries);
    let options = IsoFormatOptions {
        volume_name: "CDROM".to_owned(),
        system_id: None,
        volume_set_id: None,
        publisher_id: None,
        preparer_id: None,
        application_id: None,
        sector_size: usize::try_from(SECTOR).unwrap_or(2_048),
        path_separator: PathSeparator::ForwardSlash,
        strict_charset: false,
        features: CreationFeatures::rock_ridge(),
    };
    let written = IsoImageWriter::create(Cursor::new(Vec::new()), tree, options);
    let mut image = written.map_err(|error| FileError::Other(error.to_string()))?;
    let end = image.seek(SeekFrom::End(0)).map_err(|_| FileError::InputOutput)?;
    let mut bytes = image.into_inner();
    bytes.resize(usize::try_from(end.div_ceil(SECTOR) * SECTOR).unwrap_or(bytes.len()), 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use varan_shell::MemoryTree;

    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::resolve(&TreePath::root(), text).expect("path")
    }

    fn file_of(bytes: &[u8], name: &str) -> File {
        let path = std::env::temp_dir().join(format!("varan-image-{name}-{}", std::process::id()));
        let mut file =
            File::options().create(true).truncate(true).read(true).write(true).open(&path).expect("file");
        file.write_all(bytes).expect("written");
        let _ = std::fs::remove_file(&path);
        file
    }

    #[test]
    fn an_image_holds_what_was_written_into_it() {
        let tree = MemoryTree::new("root");
        tree.add("/cd/ovf-env.xml", b"<Environment/>").expect("added");
        tree.add("/cd/A Directory/long name with Blanks.TXT", &[7; 5_000]).expect("added");
        tree.add("/cd/empty", b"").expect("added");
        let image = ImageTree::open(file_of(&image_of(&tree, &path("/cd")).expect("image"), "whole"));
        let image = image.expect("opened");
        let mut names = image.list(&path("/")).expect("root");
        names.sort();
        assert_eq!(names, ["A Directory", "empty", "ovf-env.xml"]);
        let mut content = Vec::new();
        let name = path("/A Directory/long name with Blanks.TXT");
        image.open(&name).expect("open").read_to_end(&mut content).expect("read");
        assert_eq!(content, [7; 5_000]);
        assert_eq!(image.metadata(&name).expect("metadata").size, 5_000);
        assert!(image.create(&path("/new"), false).is_err());
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for bytes in [&b""[..], b"text", &[0; 40_000], &[0xff; 70_000]] {
            assert!(ImageTree::open(file_of(bytes, "none")).is_err());
        }
    }
}
