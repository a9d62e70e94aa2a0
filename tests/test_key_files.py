"""Files of certificates, keys and passwords that are no use, or that everybody may read: told by its name."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from collector.authority import Authority
from collector.mqtt import make_client
from collector.settings import BrokerSettings, SettingsError
from edge_agent.contract.broker import TlsFileError, TlsSettings, load_pair, tls_context
from edge_agent.contract.secret_file import read_secret


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with certificates for air-01, air-02 and collector-2, and files that hold something else."""
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority(folder)
    for name in ("air-01", "air-02", "collector-2"):
        authority.issue(name, days=100)
    lock = "openssl ec -in air-01.key -aes128 -passout pass:secret -out locked.key"
    subprocess.run(lock.split(), check=True, capture_output=True, cwd=folder)
    (folder / "empty").touch()
    (folder / "text").write_text("this is no key\n")
    (folder / "cut").write_bytes((folder / "air-01.pem").read_bytes()[:200])
    return folder


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("none", "air-01.key", "broker.tls.certificate: {folder}/none: No such file or directory"),
        (".", "air-01.key", "broker.tls.certificate: {folder}: Is a directory"),
        ("empty", "air-01.key", "broker.tls.certificate: {folder}/empty: holds no certificate"),
        ("cut", "air-01.key", "broker.tls.certificate: {folder}/cut: holds no certificate"),
        ("air-01.key", "air-01.pem", "broker.tls.certificate: {folder}/air-01.key: holds no certificate"),
        ("air-01.pem", "none", "broker.tls.key: {folder}/none: No such file or directory"),
        ("air-01.pem", "text", "broker.tls.key: {folder}/text: holds no key, or one that is locked by a passphrase"),
        ("air-01.pem", "locked.key", "broker.tls.key: {folder}/locked.key: holds no key, or one that is locked"),
        ("air-01.pem", "air-02.key", "broker.tls.key: {folder}/air-02.key: is not the key of {folder}/air-01.pem"),
    ],
)
def test_a_file_that_is_no_use_is_named_with_the_reason(folder: Path, certificate: str, key: str, says: str) -> None:
    with pytest.raises(TlsFileError) as error:
        load_pair(ssl.create_default_context(), str(folder / certificate), str(folder / key), at="broker.tls")
    first, cure = str(error.value).split("\n")
    assert first.startswith(says.format(folder=folder))
    assert cure == "  the files must be PEM, belong together, and be readable by us"


def test_an_authority_that_is_none_is_named(folder: Path) -> None:
    for name, why in (("none", "No such file or directory"), ("air-01.key", "holds no certificate")):
        with pytest.raises(TlsFileError, match=f"^broker.tls.ca: {folder / name}: {why}\n"):
            tls_context(TlsSettings(ca=str(folder / name)))


def test_a_collector_does_not_take_the_certificate_of_a_box(folder: Path) -> None:
    def broker(name: str) -> BrokerSettings:
        pair = {"certificate": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}
        return BrokerSettings(host="broker.example", tls=TlsSettings(ca=str(folder / "ca.pem"), **pair))

    with pytest.raises(SettingsError, match="is the certificate of 'air-01', which is no collector"):
        make_client(broker("air-01"), None, "collector")
    make_client(broker("air-01"), "password", "collector")  # which says who it is
    make_client(broker("collector-2"), None, "collector")


def test_a_secret_that_everybody_may_read_is_told_and_used(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    password, key = tmp_path / "password", tmp_path / "air-01.key"
    password.write_text("hush\n")
    key.write_bytes((folder / "air-01.key").read_bytes())
    settings = TlsSettings(ca=str(folder / "ca.pem"), certificate=str(folder / "air-01.pem"), key=str(key))
    for mode, told in ((0o600, False), (0o640, False), (0o644, True)):
        for file, use in ((password, lambda: read_secret(str(password))), (key, lambda: tls_context(settings))):
            caplog.clear()
            file.chmod(mode)
            use()
            said = f"{file}: everybody on this machine may read this secret: chmod o= {file}"
            assert (said in caplog.text) == told
            assert "hush" not in caplog.text
