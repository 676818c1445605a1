//! The process's TLS provider: ring, and no other.

/// Makes ring the provider of every rustls client and server of this process. To be called in line one of `main` and of
/// every test binary; later calls change nothing.
pub fn install_ring_provider() {
    // The only error is "already installed", and nothing else in this program installs one.
    let _already = rustls::crypto::ring::default_provider().install_default();
}
