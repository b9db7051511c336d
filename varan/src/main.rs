//! Varan: the binary.

use std::process::ExitCode;

use varan::arguments::{Action, USAGE, parse};
use varan::frame::Layout;
use varan::{control, inspect, tour, up};

fn main() -> ExitCode {
    let result = match parse(std::env::args().skip(1)) {
        Ok(Action::Up(options)) => up::up(&options),
        Ok(Action::FrameProcess(options, system)) => up::frame_process(&options, &system),
        Ok(Action::ConsoleProcess(options)) => up::console_process(&options),
        Ok(Action::Hmc { data, user, command }) => {
            match control::call(&Layout::new(&data).sockets(), &user, &command) {
                Ok(status) => return ExitCode::from(status),
                Err(error) => Err(error),
            }
        }
        Ok(Action::Tour { plain }) => tour::play(plain),
        Ok(Action::Simulate { seed, steps }) => simulate(seed, steps),
        Ok(Action::Inspect(topic)) => inspect::inspect(&topic),
        Ok(Action::Help) => {
            print!("{USAGE}");
            Ok(())
        }
        Err(error) => Err(format!("{error}; `varan help` shows the usage")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("varan: {error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(seed: u64, steps: u64) -> Result<(), String> {
    let directory = std::env::temp_dir().join(format!("varan-simulate-{}", std::process::id()));
    let site = varan::sites::load("demo")?;
    let result = varan::simulation::run(&site, &directory, seed, steps, &mut |line| println!("{line}"));
    let _ = std::fs::remove_dir_all(&directory);
    result
}
