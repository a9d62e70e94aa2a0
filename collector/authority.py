"""The city's own certificate authority, as files in a folder: makes certificates for Mosquitto, and revokes them.

ca.pem  ca.key      the authority; whoever has the key can be every box, so the folder belongs on no server
crl.pem             who was revoked; Mosquitto's `crlfile`
air-01.pem .key     a certificate and its key, which go to where they are used
revoked/            certificates that hold no more
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from collector.errors import Failure

YEARS = 20
"""How long the authority holds, and the list of who is revoked: with a list that has ended Mosquitto lets nobody in."""
_SLACK = timedelta(hours=1)
"""A box's clock may be behind ours."""


class Authority:
    """An authority in its folder, made where there is none."""

    def __init__(self, folder: Path) -> None:
        """Raises Failure where the folder cannot be used or holds half an authority."""
        self._folder = folder
        self.ca, self.crl = folder / "ca.pem", folder / "crl.pem"
        key = folder / "ca.key"
        try:
            (folder / "revoked").mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.ca.exists() and not key.exists():
                _make(self.ca, key)
            self._certificate = x509.load_pem_x509_certificate(self.ca.read_bytes())
            self._key = _private(key)
            if not self.crl.exists():
                self._list_revoked()
        except (OSError, ValueError) as error:
            cure = "give the folder of the authority, with ca.pem and ca.key, or a new one"
            raise Failure(f"{folder}: {error}\n  {cure}") from error

    def issue(self, name: str, *, days: int, addresses: Sequence[str] = ()) -> tuple[Path, Path]:
        """A certificate and its key: of a broker with the addresses that it is reached by, else of a client.

        Raises Failure where `name` has one that still holds for long.
        """
        file, now = self._folder / f"{name}.pem", datetime.now(UTC)
        if file.exists():
            old = x509.load_pem_x509_certificate(file.read_bytes())
            if old.not_valid_after_utc > now + timedelta(days=60):
                cure = f"revoke it first (--revoke), or take {file} as it is"
                raise Failure(f"{name} has a certificate until {old.not_valid_after_utc:%Y-%m-%d}\n  {cure}")
            file.replace(self._folder / "revoked" / f"{name}-{old.serial_number:x}.ended.pem")
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if addresses else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _certificate(name, key, self._certificate.subject, now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if addresses:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_address(each) for each in addresses]), critical=False
            )
        _write_key(self._folder / f"{name}.key", key)
        file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return file, self._folder / f"{name}.key"

    def revoke(self, name: str) -> None:
        """End the certificate of `name` before its time. Raises Failure where it has none."""
        file = self._folder / f"{name}.pem"
        if not file.exists():
            raise Failure(f"{self._folder} holds no certificate of {name}\n  its certificates are the files *.pem")
        serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
        file.replace(self._folder / "revoked" / f"{name}-{serial:x}.pem")
        self._list_revoked()

    def _list_revoked(self) -> None:
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate.subject)
        builder = builder.last_update(now - _SLACK).next_update(self._certificate.not_valid_after_utc)
        for file in sorted((self._folder / "revoked").glob("*.pem")):
            if file.name.endswith(".ended.pem"):
                continue
            serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - _SLACK).build()
            builder = builder.add_revoked_certificate(entry)
        signed = builder.sign(self._key, hashes.SHA256())
        self.crl.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _make(ca: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smart island authority")])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        _certificate("smart island authority", key, name, datetime.now(UTC) + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write_key(key_file, key)
    ca.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - _SLACK)
        .not_valid_after(ends)
    )


def _address(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _private(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{file} holds no key of ours")  # noqa: TRY004
    return key


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(data)
