//! The virtual media repository: `mkrep`, `chrep`, `lsrep`, `rmrep`, `mkvopt`, `chvopt`, `lsvopt`, `rmvopt`, `loadopt`,
//! `unloadopt`.

use varan_contract::vios::{DeviceQuery, MediumSource, ViosChange, ViosQuery};
use varan_model::vios::device::DeviceDetail;
use varan_model::vios::{Backing, MediaAccess, Medium, Repository, ViosMessage};

use super::ViosCommand;
use super::error::{Ended, refused};
use super::grammar::{Parsed, Takes, form};
use super::invocation::{ViosInvocation, answer, megabytes};
use super::listing::{Field, chosen, delimiter, field, joined, print, right};

/// A size with a unit.
fn size(text: &str) -> Result<u64, Ended> {
    megabytes(text)?.ok_or_else(|| refused(ViosMessage::ArgumentInvalid, text).into())
}

const REPOSITORY_FIELDS: &[Field<Repository>] = &[
    right("size", "Size(mb)", 8, |one| one.megabytes.to_string()),
    right("free", "Free(mb)", 8, |one| one.free_megabytes.to_string()),
    field("parent pool", "Parent Pool", 19, |one| one.parent.clone()),
    right("parent size", "Parent Size", 11, |one| one.parent_megabytes.to_string()),
    right("parent free", "Parent Free", 16, |one| one.parent_free_megabytes.to_string()),
];

/// A medium in one of its drives; a medium in several has a line for each.
struct Loaded {
    name: String,
    megabytes: u64,
    drive: Option<String>,
    access: MediaAccess,
}

const MEDIUM_FIELDS: &[Field<Loaded>] = &[
    field("name", "Name", 52, |one| one.name.clone()),
    right("file size", "File Size", 10, |one| one.megabytes.to_string()),
    field("optical", "Optical", 15, |one| one.drive.clone().unwrap_or_else(|| "None".to_owned())),
    field("access", "Access", 6, |one| one.access.word().to_owned()),
];

fn loaded(medium: &Medium) -> Vec<Loaded> {
    let one = |drive: Option<String>| Loaded {
        name: medium.name.clone(),
        megabytes: medium.megabytes(),
        drive,
        access: medium.access,
    };
    if medium.drives.is_empty() {
        return vec![one(None)];
    }
    medium.drives.iter().map(|drive| one(Some(drive.to_string()))).collect()
}

pub(crate) static REPOSITORY: ViosCommand = ViosCommand {
    name: "lsrep",
    usage: "lsrep [-field FieldName...] [-fmt Delimiter]",
    summary: "Displays the virtual media repository and what is in it.",
    options: &[("field", Takes::Many), ("fmt", Takes::One)],
    forms: &[form(&[], &[], &["field", "fmt"])],
    changes: false,
    run: repository,
};

/// Fields of one of the two tables among those that the user named.
fn of_table<'f, Row>(fields: &'f [Field<Row>], words: &[String]) -> Vec<&'f Field<Row>> {
    if words.is_empty() {
        return fields.iter().collect();
    }
    let find = |word: &String| {
        fields.iter().find(|field| {
            field.key.eq_ignore_ascii_case(word) || field.key.replace(' ', "").eq_ignore_ascii_case(word)
        })
    };
    words.iter().filter_map(find).collect()
}

fn repository(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let words = parsed.words("field");
    let (upper, lower) = (of_table(REPOSITORY_FIELDS, words), of_table(MEDIUM_FIELDS, words));
    if !words.is_empty() && upper.len() + lower.len() != words.len() {
        let known = |word: &&String| {
            let word = std::slice::from_ref(*word);
            !of_table(REPOSITORY_FIELDS, word).is_empty() || !of_table(MEDIUM_FIELDS, word).is_empty()
        };
        let unknown = words.iter().find(|word| !known(word)).cloned().unwrap_or_default();
        return Err(refused(ViosMessage::FieldUnknown, unknown).into());
    }
    let repository = answer!(invocation, ViosQuery::Repository, Repository);
    let media: Vec<Loaded> = repository.media.iter().flat_map(loaded).collect();
    if let Some(delimiter) = delimiter(parsed)? {
        if !upper.is_empty() {
            let values = upper.iter().map(|field| (field.value)(&repository));
            writeln!(invocation.output, "{}", joined(values, &delimiter))?;
        }
        if !lower.is_empty() {
            for medium in &media {
                let values = lower.iter().map(|field| (field.value)(medium));
                writeln!(invocation.output, "{}", joined(values, &delimiter))?;
            }
        }
        return Ok(0);
    }
    if !upper.is_empty() {
        print(invocation.output, &upper, [repository], None)?;
    }
    if !lower.is_empty() && !media.is_empty() {
        if !upper.is_empty() {
            writeln!(invocation.output)?;
        }
        print(invocation.output, &lower, media, None)?;
    }
    Ok(0)
}

pub(crate) static MAKE_REPOSITORY: ViosCommand = ViosCommand {
    name: "mkrep",
    usage: "mkrep [-sp ParentStoragePool] -size Size",
    summary: "Creates the virtual media repository in a storage pool.",
    options: &[("sp", Takes::One), ("size", Takes::One)],
    forms: &[form(&[], &[&["size"]], &["sp"])],
    changes: true,
    run: |invocation, parsed| {
        let done = invocation.change(ViosChange::CreateRepository {
            pool: parsed.get("sp").map(str::to_owned),
            megabytes: size(parsed.get("size").unwrap_or_default())?,
        })?;
        writeln!(
            invocation.output,
            "Virtual Media Repository Created\nRepository created within \"VMLibrary\" logical volume"
        )?;
        invocation.print_notes(&done)?;
        Ok(0)
    },
};

pub(crate) static CHANGE_REPOSITORY: ViosCommand = ViosCommand {
    name: "chrep",
    usage: "chrep -size Size",
    summary: "Makes the virtual media repository larger by a size.",
    options: &[("size", Takes::One)],
    forms: &[form(&[], &[&["size"]], &[])],
    changes: true,
    run: |invocation, parsed| {
        let megabytes = size(parsed.get("size").unwrap_or_default())?;
        invocation.change_silently(ViosChange::GrowRepository(megabytes))
    },
};

pub(crate) static REMOVE_REPOSITORY: ViosCommand = ViosCommand {
    name: "rmrep",
    usage: "rmrep [-f]",
    summary: "Removes the virtual media repository; with -f also the media in it.",
    options: &[("f", Takes::Nothing)],
    forms: &[form(&[], &[], &["f"])],
    changes: true,
    run: |invocation, parsed| {
        invocation.change_silently(ViosChange::RemoveRepository { force: parsed.has("f") })
    },
};

pub(crate) static MAKE: ViosCommand = ViosCommand {
    name: "mkvopt",
    usage: "mkvopt -name FileName {-size FileSize | -dev SourceDevice | -file SourceFile}
              [-nfslink] [-ro]",
    summary: "Creates a virtual optical medium in the repository.",
    options: &[
        ("name", Takes::One),
        ("size", Takes::One),
        ("dev", Takes::One),
        ("file", Takes::One),
        ("nfslink", Takes::Nothing),
        ("ro", Takes::Nothing),
    ],
    forms: &[form(&[], &[&["name"], &["size", "dev", "file"]], &["nfslink", "ro"])],
    changes: true,
    run: make,
};

fn make(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    for later in ["dev", "nfslink"] {
        if parsed.has(later) {
            return Err(refused(ViosMessage::NotSupported, format!("mkvopt -{later}")).into());
        }
    }
    let source = match (parsed.get("size"), parsed.get("file")) {
        (Some(text), _) => MediumSource::Blank(size(text)?),
        (_, Some(path)) => {
            // Without a repository nothing is copied first.
            answer!(invocation, ViosQuery::Repository, Repository);
            let uploaded = invocation.files.upload(path);
            MediumSource::Upload(uploaded.map_err(|message| refused(message, path))?)
        }
        _ => return Err(super::invocation::confused()),
    };
    let access = if parsed.has("ro") { MediaAccess::ReadOnly } else { MediaAccess::ReadWrite };
    let name = parsed.get("name").unwrap_or_default().to_owned();
    invocation.change_silently(ViosChange::CreateMedium { name, source, access })
}

pub(crate) static CHANGE: ViosCommand = ViosCommand {
    name: "chvopt",
    usage: "chvopt -name FileName {-access {ro | rw} | -mv NewName}",
    summary: "Changes the access to a virtual optical medium, or its name.",
    options: &[("name", Takes::One), ("access", Takes::One), ("mv", Takes::One)],
    forms: &[form(&[], &[&["name"], &["access", "mv"]], &[])],
    changes: true,
    run: |invocation, parsed| {
        let access = match parsed.get("access") {
            None => None,
            Some("ro") => Some(MediaAccess::ReadOnly),
            Some("rw") => Some(MediaAccess::ReadWrite),
            Some(other) => return Err(refused(ViosMessage::ArgumentInvalid, other).into()),
        };
        let name = parsed.get("name").unwrap_or_default().to_owned();
        let new_name = parsed.get("mv").map(str::to_owned);
        invocation.change_silently(ViosChange::ChangeMedium { name, access, new_name })
    },
};

pub(crate) static REMOVE: ViosCommand = ViosCommand {
    name: "rmvopt",
    usage: "rmvopt -name FileName [-f]",
    summary: "Removes a virtual optical medium from the repository.",
    options: &[("name", Takes::One), ("f", Takes::Nothing)],
    forms: &[form(&[], &[&["name"]], &["f"])],
    changes: true,
    run: |invocation, parsed| {
        let name = parsed.get("name").unwrap_or_default().to_owned();
        invocation.change_silently(ViosChange::RemoveMedium { name, force: parsed.has("f") })
    },
};

pub(crate) static LOAD: ViosCommand = ViosCommand {
    name: "loadopt",
    usage: "loadopt [-f] [-release] -disk FileName -vtd VirtualTargetDevice",
    summary: "Loads a medium into a virtual optical drive.",
    options: &[("f", Takes::Nothing), ("release", Takes::Nothing), ("disk", Takes::One), ("vtd", Takes::One)],
    forms: &[form(&[], &[&["disk"], &["vtd"]], &["f", "release"])],
    changes: true,
    run: |invocation, parsed| {
        let change = ViosChange::Load {
            medium: parsed.get("disk").unwrap_or_default().to_owned(),
            drive: parsed.get("vtd").unwrap_or_default().to_owned(),
            force: parsed.has("f"),
            release: parsed.has("release"),
        };
        invocation.change_silently(change)
    },
};

pub(crate) static UNLOAD: ViosCommand = ViosCommand {
    name: "unloadopt",
    usage: "unloadopt [-release] -vtd VirtualTargetDevice",
    summary: "Takes the medium out of a virtual optical drive.",
    options: &[("release", Takes::Nothing), ("vtd", Takes::One)],
    forms: &[form(&[], &[&["vtd"]], &["release"])],
    changes: true,
    run: |invocation, parsed| {
        let drive = parsed.get("vtd").unwrap_or_default().to_owned();
        invocation.change_silently(ViosChange::Unload { drive, release: parsed.has("release") })
    },
};

/// A virtual optical drive with what is in it.
struct Drive {
    name: String,
    medium: Option<(String, u64)>,
}

const DRIVE_FIELDS: &[Field<Drive>] = &[
    field("vtd", "VTD", 15, |drive| drive.name.clone()),
    field("media", "Media", 39, |drive| match &drive.medium {
        Some((name, _)) => name.clone(),
        None => "No Media".to_owned(),
    }),
    right("size", "Size(mb)", 8, |drive| match &drive.medium {
        Some((_, megabytes)) => megabytes.to_string(),
        None => "n/a".to_owned(),
    }),
];

pub(crate) static DRIVES: ViosCommand = ViosCommand {
    name: "lsvopt",
    usage: "lsvopt [-vtd VirtualTargetDevice] [-field FieldName...] [-fmt Delimiter]",
    summary: "Displays virtual optical drives and what is loaded in them.",
    options: &[("vtd", Takes::One), ("field", Takes::Many), ("fmt", Takes::One)],
    forms: &[form(&[], &[], &["vtd", "field", "fmt"])],
    changes: false,
    run: drives,
};

fn drives(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let fields = chosen(DRIVE_FIELDS, &["vtd", "media", "size"], parsed)?;
    let delimiter = delimiter(parsed)?;
    let devices = match parsed.get("vtd") {
        Some(name) => vec![invocation.device(super::invocation::by_name(name))?],
        None => invocation.devices(DeviceQuery::Virtual)?,
    };
    let mut drives = Vec::new();
    let mut media = None;
    for device in devices {
        let DeviceDetail::VirtualTarget(target) = &device.detail else { continue };
        let Backing::Medium(medium) = &target.backing else { continue };
        let medium = match medium {
            None => None,
            Some(name) => {
                if media.is_none() {
                    media = Some(answer!(invocation, ViosQuery::Repository, Repository).media);
                }
                let found = media.iter().flatten().find(|one| one.name == *name);
                Some((name.clone(), found.map_or(0, Medium::megabytes)))
            }
        };
        drives.push(Drive { name: device.name.to_string(), medium });
    }
    if drives.is_empty()
        && let Some(name) = parsed.get("vtd")
    {
        return Err(refused(ViosMessage::NotOpticalTarget, name).into());
    }
    print(invocation.output, &fields, drives, delimiter.as_ref())?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::super::listing::line;
    use super::*;

    /// The widths of the seeds' listings.
    #[test]
    fn columns_stand_where_they_stand_in_listings() {
        let repository = Repository {
            parent: "rootvg".to_owned(),
            megabytes: 3059,
            free_megabytes: 1579,
            parent_megabytes: 102_272,
            parent_free_megabytes: 73_216,
            media: Vec::new(),
        };
        let cells: Vec<_> = REPOSITORY_FIELDS
            .iter()
            .map(|field| ((field.value)(&repository), field.width, field.right))
            .collect();
        assert_eq!(line(&cells), "    3059     1579 rootvg                   102272            73216");
        let medium = Loaded {
            name: "PowerVM_NovaLink_V1.1_122015.iso".to_owned(),
            megabytes: 1479,
            drive: None,
            access: MediaAccess::ReadWrite,
        };
        let cells: Vec<_> =
            MEDIUM_FIELDS.iter().map(|field| ((field.value)(&medium), field.width, field.right)).collect();
        let shown = "PowerVM_NovaLink_V1.1_122015.iso                           1479 None            rw";
        assert_eq!(line(&cells), shown);
    }
}
