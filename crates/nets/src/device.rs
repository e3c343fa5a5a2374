//! Where networks compute, chosen when the program runs.

use burn::tensor::Device;
use cupola_task::{Error, Result, Where};

/// The device, when this program was built with it and the machine has it.
///
/// # Errors
/// When there is no such device, with what to do.
pub fn open(place: Where) -> Result<Device> {
    match place {
        Where::Cpu => Ok(Device::flex()),
        Where::Gpu(number) => gpu(number),
    }
}

#[cfg(feature = "gpu")]
fn gpu(number: u8) -> Result<Device> {
    use burn::tensor::DeviceKind;
    let _ = number;
    Ok(Device::wgpu(DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "gpu"))]
fn gpu(number: u8) -> Result<Device> {
    Err(Error::Unsupported {
        what: format!("graphics card {number}"),
        by: "this build".into(),
        hint: Some("build it with `cargo build --release --features gpu`, or use device=cpu".into()),
    })
}
