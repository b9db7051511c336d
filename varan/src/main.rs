//! Varan: the binary.

use std::process::ExitCode;

use varan::arguments::{Action, parse, usage};
use varan::frame::Layout;
use varan::scenario::{self, Scenario};
use varan::{control, fault, inspect, network, tour, up};

fn main() -> ExitCode {
    let result = match parse(std::env::args().skip(1)) {
        Ok(Action::Up(options)) => up::up(&options),
        Ok(Action::FrameProcess(options, system)) => up::frame_process(&options, &system),
        Ok(Action::WorldProcess(options)) => up::world_process(&options),
        Ok(Action::ServerProcess(options, server)) => up::server_process(&options, &server),
        Ok(Action::ConsoleProcess(options, console)) => up::console_process(&options, &console),
        Ok(Action::Hmc { data, console, user, command }) => {
            match control::call(&Layout::new(&data).sockets(), console.as_deref(), &user, &command) {
                Ok(status) => return ExitCode::from(status),
                Err(error) => Err(error),
            }
        }
        Ok(Action::PowerOn { data, console }) => {
            control::power_on(&Layout::new(&data).sockets(), console.as_deref())
        }
        Ok(Action::Fault { data, command }) => {
            fault::command::run(&Layout::new(&data).sockets(), &command).map(|text| print!("{text}"))
        }
        Ok(Action::Network { data, look }) => network::look::run(&Layout::new(&data).sockets(), &look),
        Ok(Action::RunScenario { data, directory }) => Scenario::load(&directory).and_then(|scenario| {
            let sockets = Layout::new(&data).sockets();
            scenario::run(&scenario, &sockets, &mut |part| print!("{part}"))
        }),
        Ok(Action::SimulateScenario { directory, seed }) => Scenario::load(&directory).and_then(|scenario| {
            let log = scenario::simulate(&scenario, seed, &mut |part| print!("{part}"))?;
            scenario.compare(&log)
        }),
        Ok(Action::Tour { plain }) => tour::play(plain),
        Ok(Action::Simulate { seed, steps }) => simulate(seed, steps),
        Ok(Action::Inspect(topic)) => inspect::inspect(&topic),
        Ok(Action::Help) => {
            print!("{}", usage());
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
