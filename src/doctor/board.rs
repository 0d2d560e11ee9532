//! The board itself: its model, its temperature, and whether its power supply is good enough.

use super::Finding;
use super::files::Files;
use super::patience::{Asked, ask as ask_patiently};
use std::io::ErrorKind;
use std::process::Command;

/// What the board calls itself: `Raspberry Pi 4 Model B Rev 1.4`.
pub(super) fn model(files: &Files) -> Option<String> {
    files.read("/proc/device-tree/model").filter(|model| !model.is_empty())
}

/// What is known of power and heat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Throttled {
    /// The bits of the firmware of a Raspberry Pi.
    bits: Told,
    /// The alarm for a low voltage of its driver.
    low_voltage: Option<bool>,
    /// Thousandths of a degree.
    temperature: Option<u64>,
}

/// Whether the firmware has told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Told {
    Bits(u32),
    /// It could not be asked; why.
    Refused(String),
    /// There is none that could be.
    #[default]
    Nothing,
}

/// What is being asked.
pub(super) struct Question {
    known: Throttled,
    of_program: Option<Asked<Told>>,
}

/// Reads what files tell, and asks the program of a Raspberry Pi where they do not.
pub(super) fn ask(files: &Files, model: Option<&str>) -> Question {
    let bits = bits_in_files(files);
    let is_pi = model.is_some_and(|model| model.contains("Raspberry Pi"));
    let of_program = (is_pi && bits == Told::Nothing).then(|| ask_patiently(bits_of_program));
    let temperature = files.number("/sys/class/thermal/thermal_zone0/temp");
    Question { known: Throttled { bits, low_voltage: low_voltage(files), temperature }, of_program }
}

impl Question {
    pub(super) fn answer(self) -> Throttled {
        let late = || Told::Refused("vcgencmd does not answer".to_owned());
        match self.of_program {
            Some(asked) => Throttled { bits: asked.answer().unwrap_or_else(late), ..self.known },
            None => self.known,
        }
    }
}

/// Where the driver of the firmware has it, whatever the board calls that device.
const DRIVER: &str = "/sys/bus/platform/drivers/raspberrypi-firmware";
const USUAL: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";

fn bits_in_files(files: &Files) -> Told {
    let of_driver = files.list(DRIVER).into_iter().map(|device| format!("{device}/get_throttled"));
    let paths = [USUAL.to_owned()].into_iter().chain(of_driver);
    let bits = paths.filter_map(|path| files.read(&path)).find_map(|text| hexadecimal(&text));
    bits.map_or(Told::Nothing, Told::Bits)
}

/// `50005`, `0x50005`.
fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

fn bits_of_program() -> Told {
    match Command::new("vcgencmd").arg("get_throttled").output() {
        Err(why) if why.kind() == ErrorKind::NotFound => Told::Nothing,
        Err(why) => Told::Refused(format!("vcgencmd: {why}")),
        Ok(output) => of_answer(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr)),
    }
}

/// `throttled=0x50005`; or why not.
fn of_answer(out: &str, errors: &str) -> Told {
    match out.trim().strip_prefix("throttled=").and_then(hexadecimal) {
        Some(bits) => Told::Bits(bits),
        None => {
            let line = [errors, out].iter().find_map(|text| text.lines().find(|line| !line.trim().is_empty()));
            Told::Refused(format!("vcgencmd: {}", line.unwrap_or("no answer").trim()))
        }
    }
}

/// What the driver `raspberrypi-hwmon` tells; it looks every two seconds.
fn low_voltage(files: &Files) -> Option<bool> {
    let sensors = files.list("/sys/class/hwmon");
    let of_board =
        sensors.iter().find(|sensor| files.read(&format!("{sensor}/name")).as_deref() == Some("rpi_volt"))?;
    Some(files.number(&format!("{of_board}/in0_lcrit_alarm"))? != 0)
}

/// Bits of the firmware that are the case now; 16 higher: that were since the board has power.
const LOW_VOLTAGE: u32 = 1;
const CAPPED: u32 = 1 << 1;
const THROTTLED: u32 = 1 << 2;
const HOT: u32 = 1 << 3;

/// Where a Raspberry Pi begins to slow down.
const HOT_FROM: u64 = 80_000;

const SUPPLY: &str =
    "use the power supply that is made for the board (5.1 V; 3 A, for a Pi 5 5 A), and take USB devices off it";
const COOLING: &str = "give it a heat sink or a fan, and air around it";

pub(super) fn judge(throttled: &Throttled) -> Finding {
    let degrees = throttled.temperature.map(|temperature| format!("{} °C", (temperature + 500) / 1000));
    let at = degrees.as_ref().map(|degrees| format!(", {degrees}")).unwrap_or_default();
    let bits = match &throttled.bits {
        Told::Bits(bits) => *bits,
        _ => 0,
    };
    let (now, before) = (bits & 0xf, bits >> 16 & 0xf);
    let low_now = now & LOW_VOLTAGE != 0 || throttled.low_voltage == Some(true);
    if low_now {
        let slow = if now & (CAPPED | THROTTLED) != 0 { ", so it runs slower" } else { "" };
        let seen = format!("under-voltage now{slow}{at}: files on the card may be damaged");
        return Finding::bad("throttling", seen, SUPPLY);
    }
    if now != 0 || throttled.temperature.is_some_and(|temperature| temperature >= HOT_FROM) {
        let slow = if now & (CAPPED | THROTTLED | HOT) != 0 { ", so it runs slower" } else { "" };
        return Finding::hint("throttling", format!("hot now{at}{slow}"), COOLING);
    }
    if before & LOW_VOLTAGE != 0 {
        return Finding::hint("throttling", format!("under-voltage since it was started, not now{at}"), SUPPLY);
    }
    if before != 0 {
        return Finding::hint(
            "throttling",
            format!("it was slowed down for its heat since it was started{at}"),
            COOLING,
        );
    }
    let cool = degrees.map(|degrees| format!("; {degrees}")).unwrap_or_default();
    match (&throttled.bits, throttled.low_voltage) {
        (Told::Bits(_), _) => {
            Finding::ok("throttling", format!("none since it was started, and the power is good{at}"))
        }
        (_, Some(_)) => Finding::ok("throttling", format!("the power is good{at}")),
        (Told::Refused(why), None) => {
            let todo = "sudo ringferry doctor; or sudo usermod -aG video $USER, and log in again";
            Finding::hint("throttling", format!("cannot be told: {why}{cool}"), todo)
        }
        (Told::Nothing, None) => Finding::ok("throttling", format!("this machine does not tell{cool}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[track_caller]
    fn check(throttled: &Throttled, level: Level, seen: &str) {
        let found = judge(throttled);
        assert_eq!((found.level, &*found.seen), (level, seen));
        assert_eq!(found.todo.is_some(), level != Level::Ok);
    }

    #[test]
    fn the_bits_of_the_firmware_are_understood() {
        let bits = |bits| Throttled { bits: Told::Bits(bits), temperature: Some(52_420), low_voltage: None };
        check(&bits(0), Level::Ok, "none since it was started, and the power is good, 52 °C");
        let seen = "under-voltage now, so it runs slower, 52 °C: files on the card may be damaged";
        check(&bits(0x50005), Level::Bad, seen);
        check(&bits(0x10001), Level::Bad, "under-voltage now, 52 °C: files on the card may be damaged");
        check(&bits(0x50000), Level::Hint, "under-voltage since it was started, not now, 52 °C");
        check(&bits(0x80008), Level::Hint, "hot now, 52 °C, so it runs slower");
        check(&bits(0xe0000), Level::Hint, "it was slowed down for its heat since it was started, 52 °C");
        check(&Throttled { temperature: Some(84_000), ..bits(0) }, Level::Hint, "hot now, 84 °C");
    }

    #[test]
    fn the_driver_of_the_sensor_tells_of_the_voltage_alone() {
        let alarm = Files::Planted(&[
            ("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
            ("/sys/class/hwmon/hwmon1/name", "rpi_volt\n"),
            ("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n"),
        ]);
        assert_eq!(low_voltage(&alarm), Some(true));
        let known = |low_voltage| Throttled { low_voltage: Some(low_voltage), ..Throttled::default() };
        check(&known(true), Level::Bad, "under-voltage now: files on the card may be damaged");
        check(&known(false), Level::Ok, "the power is good");
    }

    #[test]
    fn a_machine_that_is_no_pi_is_well_too() {
        assert_eq!(low_voltage(&Files::Planted(&[])), None);
        check(&Throttled::default(), Level::Ok, "this machine does not tell");
        let cool = Throttled { temperature: Some(41_000), ..Throttled::default() };
        check(&cool, Level::Ok, "this machine does not tell; 41 °C");
        let refused = Throttled { bits: of_answer("", "Can't open device file: /dev/vcio\n"), ..Throttled::default() };
        check(&refused, Level::Hint, "cannot be told: vcgencmd: Can't open device file: /dev/vcio");
    }

    #[test]
    fn the_bits_are_found_where_boards_have_them() {
        let four = Files::Planted(&[(USUAL, "50005\n")]);
        assert_eq!(bits_in_files(&four), Told::Bits(0x50005));
        let five = Files::Planted(&[(
            "/sys/bus/platform/drivers/raspberrypi-firmware/soc@107c000000:firmware/get_throttled",
            "0\n",
        )]);
        assert_eq!(bits_in_files(&five), Told::Bits(0));
        assert_eq!(bits_in_files(&Files::Planted(&[])), Told::Nothing);
        assert_eq!(of_answer("throttled=0x50005\n", ""), Told::Bits(0x50005));
    }

    #[test]
    fn the_model_is_without_the_zero_at_its_end() {
        let four = Files::Planted(&[("/proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")]);
        assert_eq!(model(&four).as_deref(), Some("Raspberry Pi 4 Model B Rev 1.4"));
        assert_eq!(model(&Files::Planted(&[])), None);
    }
}
