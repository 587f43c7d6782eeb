/** Until `holds`, for at most two seconds: caches hear of a change a moment later. Whether it came to hold. */
export async function soon(holds: () => Promise<boolean>): Promise<boolean> {
  for (let round = 0; round < 200; round += 1) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}
