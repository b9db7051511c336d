//! The server's certificate: the site's own, or one that it signs itself and keeps in the data directory.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The certificate could not be made.
    #[error("the certificate could not be made: {0}")]
    Making(#[from] rcgen::Error),
    /// Certificate and key do not fit.
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// A certificate with its key, ready for a server.
#[derive(Clone)]
pub struct Certificate {
    /// What the TLS library needs.
    pub(crate) configuration: Arc<rustls::ServerConfig>,
}

impl Certificate {
    /// Takes `rest.pem` of a directory, which holds the certificate with its chain and the key; makes it if it is missing.
    /// One file, so that a loss of power leaves both or none.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn open(directory: &Path, names: &[String]) -> Result<Self, CertificateError> {
        let file = directory.join("rest.pem");
        if !file.exists() {
            make(&file, names)?;
        }
        let content =
            |path: &Path, reason: String| CertificateError::Content { path: path.to_owned(), reason };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&file)
            .and_then(Iterator::collect)
            .map_err(|error| content(&file, error.to_string()))?;
        let secret =
            PrivateKeyDer::from_pem_file(&file).map_err(|error| content(&file, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut configuration = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, secret)?;
        configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { configuration: Arc::new(configuration) })
    }
}

fn make(file: &Path, names: &[String]) -> Result<(), CertificateError> {
    let mut parameters = CertificateParams::new(names.to_vec())?;
    let common_name = names.first().map_or("varan", String::as_str);
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    let pair = KeyPair::generate()?;
    let signed = parameters.self_signed(&pair)?;
    write_secret(file, &format!("{}{}", signed.pem(), pair.serialize_pem()))
}

/// Writes a file that only its owner reads, wholly or not at all.
fn write_secret(path: &Path, text: &str) -> Result<(), CertificateError> {
    let fail = |error| CertificateError::File { path: path.to_owned(), error };
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&fresh, path).map_err(fail)
}
