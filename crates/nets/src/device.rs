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

/// Whether a graphics card answers.
pub fn has_card() -> bool {
    gpu(0).is_ok()
}

#[cfg(any(feature = "gpu", feature = "cuda"))]
fn gpu(number: u8) -> Result<Device> {
    // Drivers that are missing make the engine panic at the first use, which is here.
    let opened = std::panic::catch_unwind(|| {
        let device = card(number);
        device.sync().map(|()| device)
    });
    match opened {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => Err(Error::input("device", format!("{error:?}"), "a graphics card that answers")),
        Err(_) => Err(Error::input("device", format!("no graphics card {number}"), "one with its driver, or device=cpu")),
    }
}

#[cfg(feature = "cuda")]
fn card(number: u8) -> Device {
    Device::cuda(usize::from(number))
}

#[cfg(all(feature = "gpu", not(feature = "cuda")))]
fn card(number: u8) -> Device {
    use burn::tensor::DeviceKind;
    // The first one is whatever the system calls its best: a card, a graphics unit of the processor, or software.
    Device::wgpu(if number == 0 { DeviceKind::DefaultDevice } else { DeviceKind::DiscreteGpu(usize::from(number)) })
}

#[cfg(not(any(feature = "gpu", feature = "cuda")))]
fn gpu(number: u8) -> Result<Device> {
    Err(Error::Unsupported {
        what: format!("graphics card {number}"),
        by: "this build".into(),
        hint: Some("build it with `cargo build --release --features gpu`, or use device=cpu".into()),
    })
}
