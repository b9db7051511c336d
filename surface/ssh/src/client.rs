//! One command on another console, over SSH.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle, Handler};
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, Disconnect};

use crate::host_key::HostKey;

/// Longest output that is read, in bytes: what a console says to a short command.
const OUTPUT_MAX: usize = 1 << 20;

/// What a user proves itself with.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A password.
    Password(&'a str),
    /// A key.
    Key(&'a HostKey),
}

/// What is run, and where.
#[derive(Clone, Copy)]
pub struct RemoteCommand<'a> {
    /// Host name or address, and port.
    pub address: (&'a str, u16),
    /// User there.
    pub user: &'a str,
    /// How the user proves itself.
    pub credential: Credential<'a>,
    /// The host key that the server must have, as [`RemoteOutput::host_key`] says it; `None` takes any.
    pub host_key: Option<&'a str>,
    /// Command line.
    pub command: &'a str,
    /// Longest time for all of it.
    pub patience: Duration,
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOutput {
    /// The server's host key, `algorithm base64`.
    pub host_key: String,
    /// Output and error output together.
    pub output: Vec<u8>,
    /// Exit status; `None` where the server told none.
    pub status: Option<u32>,
}

/// Why a command was not run, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the address.
    #[error("{0}")]
    Unreachable(String),
    /// The server has another host key than before.
    #[error("its host key has changed")]
    HostKeyChanged,
    /// The server does not let the user in.
    #[error("the user is not let in")]
    NotLetIn,
    /// The connection ended early.
    #[error("{0}")]
    Broken(String),
    /// It took too long.
    #[error("no answer within {} seconds", .0.as_secs())]
    TooLong(Duration),
}

/// Notes the server's host key and compares it.
struct Guard {
    expected: Option<String>,
    seen: Arc<Mutex<Option<String>>>,
}

fn key_line(key: &PublicKey) -> String {
    let line = key.to_openssh().unwrap_or_default();
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

impl Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        // Consoles have no certificates.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let line = key_line(key);
        let same = self.expected.as_ref().is_none_or(|expected| *expected == line);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        Ok(same)
    }
}

/// Runs a command and waits for its end. For threads outside of any asynchronous runtime.
///
/// # Errors
/// [`ClientError`].
pub fn run_remote(command: &RemoteCommand<'_>) -> Result<RemoteOutput, ClientError> {
    let broken = |error: &dyn std::fmt::Display| ClientError::Broken(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| broken(&error))?;
    let patience = command.patience;
    runtime.block_on(async {
        tokio::time::timeout(patience, connect_and_run(command))
            .await
            .unwrap_or(Err(ClientError::TooLong(patience)))
    })
}

async fn connect_and_run(command: &RemoteCommand<'_>) -> Result<RemoteOutput, ClientError> {
    let seen = Arc::new(Mutex::new(None));
    let guard = Guard { expected: command.host_key.map(str::to_owned), seen: seen.clone() };
    let connected = client::connect(Arc::default(), command.address, guard).await;
    let mut handle = connected.map_err(|error| match error {
        russh::Error::UnknownKey => ClientError::HostKeyChanged,
        other => ClientError::Unreachable(other.to_string()),
    })?;
    let broken = |error: russh::Error| ClientError::Broken(error.to_string());
    let user = command.user;
    let answer = match command.credential {
        Credential::Password(password) => handle.authenticate_password(user, password).await,
        Credential::Key(key) => {
            let key = PrivateKeyWithHashAlg::new(Arc::new(key.private_key()), None);
            handle.authenticate_publickey(user, key).await
        }
    };
    if !answer.map_err(broken)?.success() {
        return Err(ClientError::NotLetIn);
    }
    let (output, status) = execute(&handle, command.command).await.map_err(broken)?;
    let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
    let host_key = seen.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    Ok(RemoteOutput { host_key, output, status })
}

async fn execute(handle: &Handle<Guard>, command: &str) -> Result<(Vec<u8>, Option<u32>), russh::Error> {
    let mut channel = handle.channel_open_session().await?;
    channel.exec(true, command).await?;
    let (mut output, mut status) = (Vec::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => {
                let room = OUTPUT_MAX.saturating_sub(output.len());
                output.extend_from_slice(&data[..data.len().min(room)]);
            }
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    Ok((output, status))
}
