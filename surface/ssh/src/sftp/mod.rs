//! The SFTP subsystem: one request after the other, each answered before the next is read.
//!
//! ```text
//!   started ---- INIT ----> serving ----+---- end of input, cancelled ----> done, status 0
//!      |                       ^        |
//!      | anything else         +--------+---- malformed packet -----------> done, status 1
//!      v                      request, reply
//!   done, status 1
//! ```

mod codec;
mod handles;
mod long_name;
mod requests;

use std::io::{self, Read, Write};

use crate::channel::Owner;
use crate::limits;
use crate::session::{ChannelReader, Session};
use codec::{Fields, INIT, Reply};
use requests::Server;

/// The extensions of OpenSSH that are served, with their versions.
const EXTENSIONS: [(&str, &str); 5] = [
    ("posix-rename@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
];

/// Serves SFTP on a session until the client ends it; returns the exit status.
pub(crate) fn serve(owner: &Owner, mut session: Session) -> u8 {
    let home = match owner.host.home_directory(&owner.user) {
        None => Err("SFTP is not available to this user".to_owned()),
        Some(directory) => owner.homes.open(&directory).map_err(|error| format!("home directory: {error}")),
    };
    let outcome = match home {
        Ok(home) => Server::new(home, &owner.user).run(&mut session),
        Err(reason) => Err(io::Error::other(reason)),
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            // The client may be gone, then nobody needs the reason.
            drop(writeln!(session.error, "sftp: {error}"));
            1
        }
    }
}

impl Server {
    fn run(&mut self, session: &mut Session) -> io::Result<()> {
        let Some(first) = read_packet(&mut session.input)? else { return Ok(()) };
        let mut fields = Fields::new(&first);
        let is_init = fields.byte() == Ok(INIT) && fields.number().is_ok();
        if !is_init {
            return Err(io::Error::other("the client did not begin with its version"));
        }
        session.output.write_all(&Reply::version(&EXTENSIONS).finish())?;
        while let Some(packet) = read_packet(&mut session.input)? {
            let reply = self.answer(&packet).map_err(io::Error::other)?;
            session.output.write_all(&reply.finish())?;
        }
        Ok(())
    }
}

/// Reads one packet; `None` at the end of the input.
fn read_packet(input: &mut ChannelReader) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    let first = input.read(&mut length)?;
    if first == 0 {
        return Ok(None);
    }
    input.read_exact(&mut length[first..])?;
    let length = u32::from_be_bytes(length) as usize;
    if length == 0 || length > limits::SFTP_PACKET {
        return Err(io::Error::other(format!("a packet of {length} bytes")));
    }
    let mut packet = vec![0; length];
    input.read_exact(&mut packet)?;
    Ok(Some(packet))
}
